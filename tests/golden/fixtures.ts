/** `fixtures/`: single stages on stored inputs. None of these stages is there yet. */
import { join } from "node:path";
import { list } from "./open.ts";
import { notYet, type Vector } from "./report.ts";

const stages: Record<string, string> = {
  attention_flow: "compensate by attention flow",
  cam_merge: "compensate by CaM merging",
  centroid_memory: "centroid slots",
  defensivekv: "aggregate defensive",
  indexer: "probe indexer",
  latent_memory: "latent memory",
  moment_kv: "decode policy moment",
};

export async function fixtureVectors(root: string): Promise<Vector[]> {
  const names = (await list(join(root, "fixtures"))).filter((file) => file.endsWith(".json"));
  return names.map((file) => {
    const name = file.slice(0, -".json".length);
    return notYet(`fixtures/${name}.safetensors`, stages[name] ?? `nothing named ${name}`);
  });
}
