/** What a run asks of the graph beyond the forward pass; chosen when the engine opens, so that nothing else is computed. */
import type { PackMethod } from "../pack/method.ts";
import type { StoredType } from "../stored_rows.ts";
import type { Aggregation } from "./attention_mass.ts";

export interface GraphFeatures {
  /** Attention mass per slot, over scored rows and the heads of a group: one output per aggregation. */
  mass: readonly Aggregation[];
  /** ‖v W_O‖₁ of every new row, mean over the heads of the group (CriticalKV). */
  valueNorms: boolean;
  /** Sums of the new rows' queries before rotation, and of their outer products (ExpectedAttention). */
  queryMoments: boolean;
  /** Attention of a pass of few rows to the newest slots, one tensor for all heads. */
  newestMass: boolean;
  /** Every slot has a bias that is added to its attention logits, where up to `FEW_ROWS` rows look (`attention.ts`). */
  logBias: boolean;
  /** The residual stream after every layer: `hidden.0` (embedding) to `hidden.L` (after the final norm). */
  hidden: boolean;
  /** Rows of a pass may be given as embeddings, behind those of its tokens. */
  embeddings: boolean;
  /** Packs of learned weights that the model is opened with. */
  packs: readonly PackMethod[];
  /** Index keys, queries and weights of a pass's rows (`indexer_facts.ts`). */
  indexer: boolean;
  /** A latent memory adds what it remembers to the attention of every row (`latent_readout.ts`). */
  readout: boolean;
  /** What the cache stores keys and values in. A GPU's attention computes in f16 where that is stored, and else, as a CPU's always, in f32. */
  kvType: StoredType;
}

export const NO_FEATURES: GraphFeatures = {
  mass: [],
  valueNorms: false,
  queryMoments: false,
  newestMass: false,
  logBias: false,
  hidden: false,
  embeddings: false,
  packs: [],
  indexer: false,
  readout: false,
  kvType: "f32",
};

/** A short name of a set of features, for the graph's file and for telling whether one engine serves two policies. */
export function spell(features: GraphFeatures): string {
  const parts = [...features.mass].sort() as string[];
  const names = [
    "valueNorms",
    "queryMoments",
    "newestMass",
    "logBias",
    "hidden",
    "embeddings",
    "indexer",
    "readout",
  ] as const;
  for (const name of names) {
    if (features[name]) parts.push(name);
  }
  if (features.kvType !== "f32") parts.push(features.kvType);
  parts.push(...features.packs);
  return parts.length === 0 ? "plain" : parts.join("-");
}

/** What `wanted` has and `given` lacks, in words; none when `given` covers it. */
export function missing(given: GraphFeatures, wanted: GraphFeatures): string[] {
  const lacks = wanted.mass.filter((aggregation) => !given.mass.includes(aggregation)).map((name) =>
    `${name} attention mass`
  );
  if (wanted.valueNorms && !given.valueNorms) lacks.push("value norms");
  if (wanted.queryMoments && !given.queryMoments) lacks.push("query moments");
  if (wanted.newestMass && !given.newestMass) lacks.push("attention to the newest slots");
  if (wanted.logBias && !given.logBias) lacks.push("log biases");
  if (wanted.hidden && !given.hidden) lacks.push("hidden states");
  if (wanted.embeddings && !given.embeddings) lacks.push("rows given as embeddings");
  for (const method of wanted.packs) if (!given.packs.includes(method)) lacks.push(`the pack ${method}`);
  if (wanted.indexer && !given.indexer) lacks.push("index keys");
  if (wanted.readout && !given.readout) lacks.push("a latent memory's readout");
  return lacks;
}
