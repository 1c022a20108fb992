/** `fixtures/`: single stages on stored inputs, one file of `fixtures/` each. */
import { join } from "node:path";
import { attentionFlow } from "./fixtures/attention_flow.ts";
import { camMerge } from "./fixtures/cam_merge.ts";
import { centroidMemory } from "./fixtures/centroid_memory.ts";
import { defensiveKv } from "./fixtures/defensivekv.ts";
import { type Arrays, list, readArrays, readJson } from "./open.ts";
import { momentKv } from "./fixtures/moment_kv.ts";
import { type Check, notYet, type Vector } from "./report.ts";

/** What a fixture's check gets: its folder, its arrays and its parameters. */
export interface Fixture {
  /** The golden folder, in which a fixture may name a model. */
  root: string;
  arrays: Arrays;
  params: any;
}

type FixtureCheck = (fixture: Fixture) => Promise<Check[]>;

const checks: Record<string, FixtureCheck> = {
  attention_flow: attentionFlow,
  cam_merge: camMerge,
  centroid_memory: centroidMemory,
  defensivekv: defensiveKv,
  moment_kv: momentKv,
};

/** Stages that are not there yet. */
const later: Record<string, string> = {
  indexer: "probe indexer",
  latent_memory: "latent memory",
};

export async function fixtureVectors(root: string): Promise<Vector[]> {
  const names = (await list(join(root, "fixtures"))).filter((file) => file.endsWith(".json"));
  return names.map((file) => {
    const name = file.slice(0, -".json".length), vector = `fixtures/${name}.safetensors`;
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (!check) return notYet(vector, later[name] ?? `nothing named ${name}`);
    const run = async () =>
      check({
        root,
        arrays: await readArrays(join(root, vector)),
        params: await readJson(join(root, "fixtures", file)),
      });
    return { name: vector, run };
  });
}
