/** What the pipeline asks of a transformer, whichever device runs it. */
import type { KvCache } from "../cache.ts";
import type { GraphFeatures } from "./graph_llama.ts";
import type { ModelConfig } from "./weights.ts";

/** One forward pass: S rows on top of the cache, which it reads and never changes. */
export interface Pass {
  /** Token ids of the S rows. */
  tokens: ArrayLike<number>;
  /** RoPE index of the first row; the others follow. */
  firstPosition: number;
  /** Attention mass of the last so many rows is wanted. Default 0. */
  scoreRows?: number;
  /** Logits of the last so many rows are wanted. Default 0. */
  logitsRows?: number;
}

/** Per head (layer * kvHeads + kvHead). */
export interface PassResult {
  /** New rows [S, headDim], keys rotated. */
  keys: Float32Array[];
  values: Float32Array[];
  /** Aggregated attention mass over [slots of the head, S new rows], when `scoreRows` > 0. */
  mass: Float32Array[] | null;
  /** [logitsRows, vocab]. */
  logits: Float32Array | null;
  /** Residual stream [S, hidden] after the embedding and each layer, if the engine was opened with that feature. */
  hidden: Float32Array[] | null;
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
  pass(cache: KvCache, pass: Pass): Promise<PassResult>;
  close(): Promise<void>;
}
