/** What the pipeline asks of a transformer, whichever device runs it. */
import type { KvCache } from "../cache.ts";
import type { Packs } from "../pack/packs.ts";
import type { Aggregation } from "./attention_mass.ts";
import type { GraphFeatures } from "./features.ts";
import type { ModelConfig } from "./weights.ts";

/** Rows of a pass that are no tokens. */
export interface EmbeddingRows {
  /** [count, hidden]: what the first layer takes. */
  embeddings: Float32Array;
  count: number;
  /** RoPE index of the first row; the others follow. */
  firstPosition: number;
}

/** One forward pass: S rows on top of the cache, which it reads and never changes. */
export interface Pass {
  /** Token ids of the S rows. */
  tokens: ArrayLike<number>;
  /** RoPE index of the first row; the others follow. */
  firstPosition: number;
  /** More rows behind those of the tokens, which do not see them; with that feature. S counts them. */
  soft?: EmbeddingRows | undefined;
  /** Attention mass of the last so many rows is wanted. Default 0. */
  scoreRows?: number;
  /** Value norms and query moments of the rows are wanted, the moments from this row on. Default: not. */
  factsFrom?: number;
  /**
   * Index keys of the rows are wanted, and index queries and weights of so many rows, with that feature: the last one, and before it every `indexEvery`-th
   * (default: every one). Default: nothing of it.
   */
  indexRows?: number;
  indexEvery?: number;
  /** Attention of all rows (up to `FEW_ROWS`) to the last so many slots, the new rows included, is wanted. Default 0. */
  newestSlots?: number;
  /** Logits of the last so many rows are wanted. Default 0. */
  logitsRows?: number;
}

/** Per head of the cached layers (layer * kvHeads + kvHead). */
export interface PassResult {
  /** New rows [S, headDim], keys rotated; behind them, those of the sliding layers' heads. */
  keys: Float32Array[];
  values: Float32Array[];
  /** Aggregated attention mass over [slots of the head, S new rows], when `scoreRows` > 0: for each aggregation of the features. */
  mass: { [aggregation in Aggregation]?: Float32Array[] } | null;
  /** [heads, S, newestSlots]: mean over the heads of the group, with `newestSlots` and that feature. */
  newestMass: Float32Array | null;
  /** ‖v W_O‖₁ of the new rows [S], mean over the heads of the group, with `factsFrom` and that feature. */
  valueNorms: Float32Array[] | null;
  /** Per cached layer, with `factsFrom` and that feature. */
  queryMoments: QueryMoments[] | null;
  /** Per cached layer, with `indexRows` and that feature. */
  index: IndexFacts[] | null;
  /** [logitsRows, vocab]. */
  logits: Float32Array | null;
  /** Residual stream [S, hidden] after the embedding and each layer, if the engine was opened with that feature. */
  hidden: Float32Array[] | null;
}

/** Of the queries of one layer before rotation, over `rows` rows. */
export interface QueryMoments {
  rows: number;
  /** [heads, headDim] */
  sum: Float32Array;
  /** [heads, headDim, headDim] */
  outer: Float32Array;
}

/** What a learned indexer makes of one layer's rows (`probe/index_score.ts`), S new ones of which Q ask. */
export interface IndexFacts {
  /** n and d, and how many KV heads have weights of their own. */
  heads: number;
  dim: number;
  groups: number;
  /** What age costs each KV head; null for nothing. */
  age: Float32Array | null;
  /** [S, d] */
  keys: Float32Array;
  /** [n, Q, d] */
  queries: Float32Array;
  /** [Q, groups * n], not scaled */
  weights: Float32Array;
}

/** A tensor of a dense graph. */
export interface DenseTensor {
  data: Float32Array | Int32Array | BigInt64Array;
  dims: readonly number[];
}

/** A small graph of dense arithmetic that a stage runs on the engine's device. */
export interface Dense {
  run(inputs: Record<string, DenseTensor>): Promise<Record<string, DenseTensor>>;
}

export interface Device {
  kind: "cpu" | "webgpu" | "wasm";
  name: string;
}

export interface Engine {
  readonly config: ModelConfig;
  readonly device: Device;
  /** What the graph gives beyond the forward pass. */
  readonly features: GraphFeatures;
  /** Learned weights, those of `features.packs`. */
  readonly packs: Packs;
  pass(cache: KvCache, pass: Pass): Promise<PassResult>;
  /** Opens a dense graph, once per name. @param write gives the serialized model (`onnx.ts`) */
  dense(name: string, write: () => Uint8Array<ArrayBuffer>): Promise<Dense>;
  close(): Promise<void>;
}
