/** `fixtures/`: single stages on stored inputs, one file of `fixtures/` each. */
import { join } from "node:path";
import type { GoldenDevice } from "./device.ts";
import { type Arrays, list, readArrays, readJson } from "./open.ts";
import { type Check, notYet, type Vector } from "./report.ts";

/** What a fixture's check gets: its folder, its arrays and its parameters. */
export interface Fixture {
  /** The golden folder, in which a fixture may name a model. */
  root: string;
  arrays: Arrays;
  params: any;
}

export type FixtureCheck = (fixture: Fixture) => Promise<Check[]>;

export async function fixtureVectors(root: string, device: GoldenDevice): Promise<Vector[]> {
  const names = (await list(join(root, "fixtures"))).filter((file) => file.endsWith(".json"));
  return names.map((file) => {
    const name = file.slice(0, -".json".length), vector = `fixtures/${name}.safetensors`;
    const check = Object.hasOwn(device.fixtures, name) ? device.fixtures[name] : undefined;
    if (!check) return notYet(vector, `nothing named ${name}`);
    const run = async () =>
      check({
        root,
        arrays: await readArrays(join(root, vector)),
        params: await readJson(join(root, "fixtures", file)),
      });
    return { name: vector, run };
  });
}
