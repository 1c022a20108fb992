/**
 * `policies/<architecture>`: one compression after the whole prompt, through the pipeline's own stages set as the vector's `params` say. Scores come
 * from `scores.ts`; here are quotas, kept sets, what is left of keys and values, and the logits after it.
 */
import { join } from "node:path";
import { ada } from "../../core/allocate/ada.ts";
import { layerBudgets, pyramid } from "../../core/allocate/pyramid.ts";
import { uniform } from "../../core/allocate/uniform.ts";
import { compact } from "../../core/compact.ts";
import { merge } from "../../core/compensate/merge.ts";
import type { Engine } from "../../core/engine/engine.ts";
import type { Compensate, Scores, Select, SelectContext, StageContext } from "../../core/policy.ts";
import { Rope } from "../../core/rope.ts";
import { critical, twoStages } from "../../core/select/critical.ts";
import { topk } from "../../core/select/topk.ts";
import { cacheFor, decode, forward } from "./forward.ts";
import { isSupported, list, readArrays, readJson, using } from "./open.ts";
import { rowsOf } from "./fixtures/heads.ts";
import { type Folder, headsOf, joined, type Manifest, type PolicyFile, sinksOf } from "./policy_files.ts";
import { type Check, close, closeRelative, equal, notYet, type Vector } from "./report.ts";
import { scorerOf } from "./scores.ts";

const LOGITS = 5e-4, ROWS = 2e-4, NORMS = 1e-4, SCORES = 5e-5;

type Params = Record<string, unknown>;

/** What a policy does with the scores. */
interface Stages {
  /** Parameters that it takes beside its score's. */
  takes: string[];
  quotas(scores: Scores, context: StageContext, vector: PolicyFile, checks: Check[]): Int32Array;
  select(params: Params): Select;
  compensate?(params: Params): Compensate;
}

const sameForAll: Stages = {
  takes: [],
  quotas: (scores, context) => uniform().quotas(scores, context),
  select: () => topk(),
};

const adaptive: Stages = {
  takes: ["alpha_safeguard"],
  quotas: (scores, context, { params }) => ada(params["alpha_safeguard"] as number).quotas(scores, context),
  select: () => topk(),
};

const twoStage = {
  takes: ["first_stage_ratio", "epsilon"],
  select: (params: Params) => critical(params["first_stage_ratio"] as number, params["epsilon"] as number),
};

const stagesOf: Record<string, Stages> = {
  ...Object.fromEntries(
    ["snapkv", "streaming_llm", "knorm", "keydiff", "lagkv", "tova", "observed_attention", "expected_attention"]
      .map((policy) => [policy, sameForAll]),
  ),
  pyramidkv: { takes: ["beta"], quotas: pyramidQuotas, select: () => topk() },
  adakv_snapkv: adaptive,
  criticalkv_snapkv: { ...sameForAll, ...twoStage },
  merging_snapkv: {
    ...sameForAll,
    takes: ["similarity_threshold", "merge_fraction"],
    compensate: (params) => merge(params["similarity_threshold"] as number),
  },
  criticaladakv_snapkv: { ...adaptive, ...twoStage, takes: [...adaptive.takes, ...twoStage.takes] },
};

/** `pyramidkv_w8_b8` is pyramidkv with other parameters. */
const stagesFor = ({ policy }: PolicyFile): Stages | undefined =>
  stagesOf[policy.startsWith("pyramidkv") ? "pyramidkv" : policy.replace(/^rerotate_/, "")];

/** kvpress's budgets; where it does not fall back to the same for every layer, the stage gives them too. */
function pyramidQuotas(scores: Scores, context: StageContext, { params, ratio }: PolicyFile, checks: Check[]) {
  const { layers, kvHeads } = context.cache.shape, n = context.tokensRead, beta = params["beta"] as number;
  const perLayer = layerBudgets(n, n * (1 - ratio), layers, params["window"] as number, beta);
  const quotas = Int32Array.from(scores, (_, head) => perLayer[Math.floor(head / kvHeads)]!);
  if (perLayer[0] !== perLayer.at(-1)) {
    checks.push(equal("quotas of the stage", pyramid(beta).quotas(scores, context), quotas));
  }
  return quotas;
}

export async function policyVectors(root: string): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const name of await list(join(root, "policies"))) {
    const path = join(root, "policies", name);
    const manifest: Manifest = await readJson(join(path, "manifest.json"));
    const folder: Folder = { path, model: join(root, manifest.model), manifest };
    const { model_type: architecture } = await readJson(join(folder.model, "config.json"));
    const refused = isSupported(architecture) ? null : `architecture ${architecture}`;
    vectors.push(...inputVectors(`policies/${name}/inputs.safetensors`, folder, refused));
    for (const file of manifest.files) {
      const vector = `policies/${name}/${file.file}`, reason = refused ?? notComputed(file);
      vectors.push(reason ? notYet(vector, reason) : { name: vector, run: () => checkPolicy(folder, file) });
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
function inputVectors(name: string, folder: Folder, refused: string | null): Vector[] {
  return [refused ? notYet(name, refused) : { name, run: () => checkInputs(folder) }];
}

async function checkInputs({ path, model, manifest }: Folder): Promise<Check[]> {
  const asked = await readArrays(join(path, "inputs.safetensors"));
  const features = { valueNorms: true, queryMoments: true };
  return await using(model, { features }, async ({ engine }) => {
    const { prompt_ids, decode_ids } = manifest, n = prompt_ids.length;
    const cache = cacheFor(engine, n + decode_ids.length);
    const facts = await engine.pass(cache, { tokens: prompt_ids, firstPosition: 0, factsFrom: 0 });
    await forward(engine, cache, prompt_ids);
    const checks: Check[] = [closeRelative("vwl1norm", joined(facts.valueNorms!), asked.data("vwl1norm"), NORMS)];
    for (const array of asked.names) {
      const [, layer, kind] = /^layer(\d+)\.(k|v|q_prerope)$/.exec(array) ?? [];
      if (layer === undefined) continue;
      if (kind === "q_prerope") {
        // the graph gives sums over the rows
        const queries = asked.data(array), [heads, , width] = asked.shape(array);
        const { sum, outer } = sumsOf(queries, heads!, n, width!), moments = facts.queryMoments![Number(layer)]!;
        checks.push(
          closeRelative(`${array}, summed`, moments.sum, sum, SCORES),
          closeRelative(`${array}, outer products summed`, moments.outer, outer, SCORES),
        );
        continue;
      }
      const rows = headsOf(engine, Number(layer)).map((head) =>
        kind === "k" ? cache.keyRows(head) : cache.valueRows(head)
      );
      checks.push(close(array, joined(rows), asked.data(array), ROWS));
    }
    const logits = await decode(engine, cache, decode_ids, n);
    checks.push(close("logits_full_cache", logits, asked.data("logits_full_cache"), LOGITS));
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

async function checkPolicy({ path, model, manifest }: Folder, vector: PolicyFile): Promise<Check[]> {
  const { prompt_ids, decode_ids, kv_layers } = manifest, n = prompt_ids.length;
  const asked = await readArrays(join(path, vector.file));
  const stored = await readArrays(join(path, "scores.safetensors"));
  const scorer = scorerOf(vector)!, stages = stagesFor(vector)!, select = stages.select(vector.params);
  const features = { ...scorer.features, valueNorms: select.needs?.valueNorms === true };
  return await using(model, { features }, async ({ engine }) => {
    const checks: Check[] = [], heads = engine.config.layers * engine.config.kvHeads;
    const cache = cacheFor(engine, n + decode_ids.length);
    const raw = await scorer.score({ engine, cache, manifest, vector, stored, checks });
    const norms = features.valueNorms ? await valueNorms(engine, prompt_ids) : null;

    const protectedSlots = raw.map(() => namedSlots(vector, n));
    const context: StageContext = {
      engine,
      cache,
      budget: Math.max(1, Math.trunc(n * (1 - vector.ratio))),
      mostSlots: Infinity,
      tokensRead: n,
      protectedSlots,
    };
    const quotas = stages.quotas(raw, context, vector, checks);
    checks.push(equal("slots kept per head", quotas, vector.n_kept_per_layer_head.flat()));
    const source = Int32Array.from({ length: n }, (_, token) => token);
    const contexts = raw.map((_, head): SelectContext => ({
      quota: quotas[head]!,
      protectedSlots: protectedSlots[head]!,
      source,
      valueNorm: norms?.[head] ?? new Float32Array(0),
      tokensRead: n,
    }));
    if (asked.has("final_scores")) checks.push(...finalScores(raw, contexts, vector, asked.data("final_scores")));
    const keep = raw.map((row, head) => select.keep(row, contexts[head]!));
    const mask = new Uint8Array(heads * n);
    keep.forEach((slots, head) => slots.forEach((slot) => mask[head * n + slot] = 1));
    checks.push(equal("kept_mask", mask, asked.data("kept_mask")));
    const compensate = stages.compensate?.(vector.params);
    if (compensate) {
      // kvpress lets the window receive too
      const open = raw.map(() => new Uint8Array(n));
      await compensate.apply({ ...context, protectedSlots: open, keep, scores: raw, evidence: {} });
      const rows = kv_layers.flatMap((layer) =>
        headsOf(engine, layer).map((head) => rowsOf(cache.valueRows(head), keep[head]!, engine.config.headDim))
      );
      checks.push(close("merged_values", joined(rows), asked.data("merged_values"), ROWS));
    }

    const positions = isRerotated(vector.policy) ? "compact" : "original";
    const start = compact(cache, keep, positions, new Rope(engine.config), n, sinksOf(vector));
    checks.push(equal("decode_start", [start], [vector.decode_start]));
    checks.push(equal("live slots per head", cache.live, vector.n_kept_per_layer_head.flat()));
    if (asked.has("rerotated_keys")) {
      const rows = kv_layers.flatMap((layer) => headsOf(engine, layer).map((head) => cache.keyRows(head)));
      checks.push(close("rerotated_keys", joined(rows), asked.data("rerotated_keys"), ROWS));
    }
    checks.push(close("logits", await decode(engine, cache, decode_ids, start), asked.data("logits"), LOGITS));
    return checks;
  });
}

async function valueNorms(engine: Engine, tokens: number[]): Promise<Float32Array[]> {
  return (await engine.pass(cacheFor(engine, 0), { tokens, firstPosition: 0, factsFrom: 0 })).valueNorms!;
}

/** CriticalKV's scores after both stages: the largest float where the first took a slot. */
function finalScores(
  raw: Scores,
  contexts: SelectContext[],
  { params }: PolicyFile,
  asked: ArrayLike<number>,
): Check[] {
  const final = joined(
    raw.map((row, head) =>
      twoStages(row, contexts[head]!, params["first_stage_ratio"] as number, params["epsilon"] as number).final
    ),
  );
  const largest = Math.fround(3.4028234663852886e38);
  const taken = (scores: ArrayLike<number>) => Array.from(scores, (score) => Number(score === largest));
  const others = (scores: ArrayLike<number>) => Array.from(scores, (score) => score === largest ? 0 : score);
  return [
    equal("slots of the first stage", taken(final), taken(asked)),
    closeRelative("final_scores of the others", others(final), others(asked), SCORES),
  ];
}

/** Only what the vector's parameters name: sinks, and the window, whose raised scores mean the same. */
function namedSlots(vector: PolicyFile, n: number): Uint8Array {
  const window = (vector.params["window"] as number | undefined) ?? 0;
  return new Uint8Array(n).fill(1, 0, sinksOf(vector)).fill(1, n - window);
}
