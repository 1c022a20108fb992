/**
 * `policies/<architecture>`: one compression after the whole prompt, through the pipeline's own stages set as the vector's `params` say. Scores come
 * from `scores.ts`; here are quotas, kept sets, what is left of keys and values, and the logits after it.
 */
import { join } from "node:path";
import { layerBudgets } from "../../core/allocate/pyramid.ts";
import type { ModelConfig } from "../../core/engine/weights.ts";
import type { Scores } from "../../core/policy.ts";
import type { Compressed, Compression, GoldenDevice } from "./device.ts";
import { isSupported, list, readArrays, readJson } from "./open.ts";
import { type Folder, headsOf, joined, type Manifest, type PolicyFile, sinksOf } from "./policy_files.ts";
import { type Check, close, closeRelative, equal, notYet, type Vector } from "./report.ts";
import { scorerOf } from "./scores.ts";

const LOGITS = 5e-4, ROWS = 2e-4, NORMS = 1e-4, SCORES = 5e-5;

/** What a policy does with the scores. */
interface Stages {
  /** Parameters that it takes beside its score's. */
  takes: string[];
  quotas(vector: PolicyFile, tokens: number, config: ModelConfig): Compression["quotas"];
  critical?: true;
  merge?: true;
}

const sameForAll: Stages = { takes: [], quotas: () => ({ kind: "uniform" }) };
const adaptive: Stages = {
  takes: ["alpha_safeguard"],
  quotas: ({ params }) => ({ kind: "ada", share: params["alpha_safeguard"] as number }),
};
const twoStage = { takes: ["first_stage_ratio", "epsilon"], critical: true } as const;

const stagesOf: Record<string, Stages> = {
  ...Object.fromEntries(
    ["snapkv", "streaming_llm", "knorm", "keydiff", "lagkv", "tova", "observed_attention", "expected_attention"]
      .map((policy) => [policy, sameForAll]),
  ),
  pyramidkv: { takes: ["beta"], quotas: pyramidQuotas },
  adakv_snapkv: adaptive,
  criticalkv_snapkv: { ...sameForAll, ...twoStage, takes: [...twoStage.takes] },
  merging_snapkv: { ...sameForAll, takes: ["similarity_threshold", "merge_fraction"], merge: true },
  criticaladakv_snapkv: { ...adaptive, ...twoStage, takes: [...adaptive.takes, ...twoStage.takes] },
};

/** `pyramidkv_w8_b8` is pyramidkv with other parameters. */
const stagesFor = ({ policy }: PolicyFile): Stages | undefined =>
  stagesOf[policy.startsWith("pyramidkv") ? "pyramidkv" : policy.replace(/^rerotate_/, "")];

/** kvpress's budgets; where it does not fall back to the same for every layer, the stage gives them too. */
function pyramidQuotas(
  { params, ratio }: PolicyFile,
  n: number,
  { layers, kvHeads }: ModelConfig,
): Compression["quotas"] {
  const beta = params["beta"] as number;
  const perLayer = layerBudgets(n, n * (1 - ratio), layers, params["window"] as number, beta);
  const quotas = Int32Array.from({ length: layers * kvHeads }, (_, head) => perLayer[Math.floor(head / kvHeads)]!);
  return { kind: "pyramid", quotas, beta, isStage: perLayer[0] !== perLayer.at(-1) };
}

export async function policyVectors(root: string, device: GoldenDevice): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const name of await list(join(root, "policies"))) {
    const path = join(root, "policies", name);
    const manifest: Manifest = await readJson(join(path, "manifest.json"));
    const folder: Folder = { path, model: join(root, manifest.model), manifest };
    const { model_type: architecture } = await readJson(join(folder.model, "config.json"));
    const refused = isSupported(architecture) ? null : `architecture ${architecture}`;
    vectors.push(...inputVectors(`policies/${name}/inputs.safetensors`, folder, refused, device));
    for (const file of manifest.files) {
      const vector = `policies/${name}/${file.file}`, reason = refused ?? notComputed(file);
      vectors.push(reason ? notYet(vector, reason) : { name: vector, run: () => checkPolicy(folder, file, device) });
    }
  }
  return vectors;
}

/** Parameters that nothing here takes would be ignored, so they are refused. */
function notComputed(file: PolicyFile): string | null {
  const { policy, params } = file, stages = stagesFor(file), scorer = scorerOf(file);
  if (!stages) return `policy ${policy}`;
  if (!scorer) return `score ${file.score_key}`;
  const allowed = [...scorer.takes, ...stages.takes, ...(isRerotated(policy) ? ["decode_position"] : [])];
  const other = Object.keys(params).filter((key) => !allowed.includes(key));
  const missing = [...scorer.takes, ...stages.takes].filter((key) => !(key in params));
  // a part of what is evicted is never merged alone here
  if (params["merge_fraction"] !== undefined && params["merge_fraction"] !== 1) other.push("merge_fraction");
  if (other.length + missing.length > 0) return `policy ${policy} with parameters ${JSON.stringify(params)}`;
  return null;
}

const isRerotated = (policy: string) => policy.startsWith("rerotate_");

/** Facts of the prompt that stages take from the graph, and the decode tokens on the full cache. */
function inputVectors(name: string, folder: Folder, refused: string | null, device: GoldenDevice): Vector[] {
  return [refused ? notYet(name, refused) : { name, run: () => checkInputs(folder, device) }];
}

async function checkInputs({ path, model, manifest }: Folder, device: GoldenDevice): Promise<Check[]> {
  const asked = await readArrays(join(path, "inputs.safetensors"));
  const { prompt_ids: ids, decode_ids: decodeIds } = manifest, n = ids.length;
  const options = { ids, decodeIds, features: { queryMoments: true }, valueNorms: true, ragged: false };
  return await device.prompt(model, options, async (prompt) => {
    const facts = await prompt.facts();
    const checks: Check[] = [closeRelative("vwl1norm", joined(facts.valueNorms), asked.data("vwl1norm"), NORMS)];
    for (const array of asked.names) {
      const [, layer, kind] = /^layer(\d+)\.(k|v|q_prerope)$/.exec(array) ?? [];
      if (layer === undefined) continue;
      if (kind === "q_prerope") {
        // sums over the rows are given
        const queries = asked.data(array), [heads, , width] = asked.shape(array);
        const { sum, outer } = sumsOf(queries, heads!, n, width!), moments = facts.moments[Number(layer)]!;
        checks.push(
          closeRelative(`${array}, summed`, moments.sum, sum, SCORES),
          closeRelative(`${array}, outer products summed`, moments.outer, outer, SCORES),
        );
        continue;
      }
      const rows = kind === "k" ? facts.keys : facts.values;
      const mine = headsOf(prompt.config, Number(layer)).map((head) => rows[head]!);
      checks.push(close(array, joined(mine), asked.data(array), ROWS));
    }
    checks.push(close("logits_full_cache", facts.logits, asked.data("logits_full_cache"), LOGITS));
    return checks;
  });
}

/** Sums over the rows of `queries` [heads, rows, width] and of their outer products. */
function sumsOf(queries: ArrayLike<number>, heads: number, rows: number, width: number) {
  const sum = new Float64Array(heads * width), outer = new Float64Array(heads * width * width);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < rows; row++) {
      const at = (head * rows + row) * width;
      for (let i = 0; i < width; i++) {
        sum[head * width + i]! += queries[at + i]!;
        for (let j = 0; j < width; j++) outer[(head * width + i) * width + j]! += queries[at + i]! * queries[at + j]!;
      }
    }
  }
  return { sum, outer };
}

async function checkPolicy(
  { path, model, manifest }: Folder,
  vector: PolicyFile,
  device: GoldenDevice,
): Promise<Check[]> {
  const { prompt_ids: ids, decode_ids: decodeIds, kv_layers } = manifest, n = ids.length, { params } = vector;
  const asked = await readArrays(join(path, vector.file));
  const stored = await readArrays(join(path, "scores.safetensors"));
  const scorer = scorerOf(vector)!, stages = stagesFor(vector)!;
  const options = {
    ids,
    decodeIds,
    features: scorer.features,
    valueNorms: stages.critical === true,
    ragged: "alpha_safeguard" in params,
  };
  return await device.prompt(model, options, async (prompt) => {
    const checks: Check[] = [];
    const scores = await scorer.score({ prompt, manifest, vector, stored, checks });
    const found = await prompt.compress(scores, {
      budget: Math.max(1, Math.trunc(n * (1 - vector.ratio))),
      quotas: stages.quotas(vector, n, prompt.config),
      critical: stages.critical
        ? { firstStage: params["first_stage_ratio"] as number, epsilon: params["epsilon"] as number }
        : null,
      merge: stages.merge ? { threshold: params["similarity_threshold"] as number } : null,
      protectedSlots: scores.map(() => namedSlots(vector, n)),
      positions: isRerotated(vector.policy) ? "compact" : "original",
      sinks: sinksOf(vector),
      checks,
    });
    checks.push(equal("slots kept per head", found.quotas, vector.n_kept_per_layer_head.flat()));
    if (asked.has("final_scores")) checks.push(...finalScores(found, asked.data("final_scores")));
    checks.push(equal("kept_mask", maskOf(found, scores), asked.data("kept_mask")));
    const rowsOf = (rows: Float32Array[]) =>
      joined(kv_layers.flatMap((layer) => headsOf(prompt.config, layer).map((head) => rows[head]!)));
    if (asked.has("merged_values")) {
      checks.push(close("merged_values", rowsOf(found.values), asked.data("merged_values"), ROWS));
    }
    checks.push(equal("decode_start", [found.start], [vector.decode_start]));
    checks.push(equal("live slots per head", found.live, vector.n_kept_per_layer_head.flat()));
    if (asked.has("rerotated_keys")) {
      checks.push(close("rerotated_keys", rowsOf(found.keys), asked.data("rerotated_keys"), ROWS));
    }
    checks.push(close("logits", found.logits, asked.data("logits"), LOGITS));
    return checks;
  });
}

function maskOf({ keep }: Compressed, scores: Scores): Uint8Array {
  const n = scores[0]!.length, mask = new Uint8Array(scores.length * n);
  keep.forEach((slots, head) => {
    for (let i = 0; i < slots.length; i++) mask[head * n + slots[i]!] = 1;
  });
  return mask;
}

/** CriticalKV's scores after both stages: the largest float where the first took a slot. */
function finalScores({ stages }: Compressed, asked: ArrayLike<number>): Check[] {
  const largest = Math.fround(3.4028234663852886e38), taken = stages!.flatMap(({ taken }) => Array.from(taken));
  const others = (scores: ArrayLike<number>) => Array.from(scores, (score, i) => taken[i] ? 0 : score);
  return [
    equal("slots of the first stage", taken, Array.from(asked, (score) => Number(score === largest))),
    closeRelative(
      "final_scores of the others",
      others(joined(stages!.map(({ final }) => final))),
      others(asked),
      SCORES,
    ),
  ];
}

/** Only what the vector's parameters name: sinks, and the window, whose raised scores mean the same. */
function namedSlots(vector: PolicyFile, n: number): Uint8Array {
  const window = (vector.params["window"] as number | undefined) ?? 0;
  return new Uint8Array(n).fill(1, 0, sinksOf(vector)).fill(1, n - window);
}
