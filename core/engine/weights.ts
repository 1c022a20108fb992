/** A model's weights and shape, whatever file format they come from: what `gguf.ts` and `safetensors.ts` give and the graph writer takes. */

/** GGUF names; safetensors uses F32, F16 and BF16 only. */
// deno-fmt-ignore
export type TensorType =
  | "F32" | "F16" | "BF16" | "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0" | "Q2_K" | "Q3_K" | "Q4_K" | "Q5_K" | "Q6_K"
  | "IQ1_S" | "IQ1_M" | "IQ2_XXS" | "IQ2_XS" | "IQ2_S" | "IQ3_XXS" | "IQ3_S" | "IQ4_NL" | "IQ4_XS" | "TQ1_0" | "TQ2_0"
  | "MXFP4" | "NVFP4";

export type RopeScaling =
  | { kind: "llama3"; factor: number; lowFreqFactor: number; highFreqFactor: number; originalPositions: number }
  | { kind: "linear"; factor: number }
  /**
   * Divisors of the frequencies, [rotaryDim / 2] (GGUF `rope_freqs.weight`, `rope_factors_short.weight`). Turned rows are also longer by `magnitude`
   * (default 1): what is turned a second time, such as a key that moves, is not.
   */
  | { kind: "factors"; factors: Float32Array; magnitude?: number };

/** `unrotated`: without rotary positions. `sliding`: sees the newest tokens only. */
export type LayerKind = "full" | "unrotated" | "sliding";

export interface ModelConfig {
  /** GGUF's `general.architecture` or Hugging Face's `model_type`. */
  architecture: string;
  name: string;
  layers: number;
  hidden: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  ffn: number;
  vocab: number;
  /** Positions that the model was trained for. */
  trainedPositions: number;
  normEps: number;
  ropeTheta: number;
  /** Numbers of a head that positions turn; the others stay (`stored_tensors.ts` says where they stand). */
  rotaryDim: number;
  ropeScaling: RopeScaling | null;
  /** The output matrix is the embedding matrix. */
  tied: boolean;
  /** Queries and keys are normalised per head before rotation (Qwen 3). */
  qkNorm: boolean;
  /** Queries, keys and values have biases (Qwen 2). */
  qkvBias: boolean;
  /** Products of queries and keys are known to be larger than half precision holds (Qwen 2, Phi 3). */
  largeProducts: boolean;
  /** What the layers are, one kind after the other, and from the first again where these are more layers. */
  layerKinds: readonly LayerKind[];
  /** Of sliding layers: tokens that a token sees, itself included, and the base of their rotary frequencies, which are never scaled. */
  slidingWindow: { tokens: number; ropeTheta: number } | null;
  /** Attention and MLP are normalised once more behind, before they join the residual stream (Gemma 3). */
  normsBehind: boolean;
  /** What the MLP's gate goes through; `gelu` is the approximation by tanh. */
  activation: "silu" | "gelu";
  /** What the rows of the embedding are multiplied by on their way in. */
  embeddingScale: number;
  /** What queries are multiplied by beside 1 / √headDim: stands in the gains of their norm, `q_norm`. */
  queryFactor: number;
}

/** What a plain Llama decoder has not: families of models that have it say so (`architectures/`). */
export const PLAIN = {
  qkNorm: false,
  qkvBias: false,
  largeProducts: false,
  layerKinds: ["full"],
  slidingWindow: null,
  normsBehind: false,
  activation: "silu",
  embeddingScale: 1,
  queryFactor: 1,
} as const satisfies Partial<ModelConfig>;

/** One tensor as stored: `bytes` holds the rows one after the other in `type`'s block format. */
export interface WeightTensor {
  name: string;
  type: TensorType;
  /** Outermost first: [rows, columns] of a matrix (y = x Wᵀ), or [n]. */
  shape: number[];
  bytes: Uint8Array;
}

/** Some rows of a matrix. */
export interface RowRange {
  first: number;
  count: number;
}

/**
 * An opened model: a file, or the folder of several. Tensor names are Hugging Face's without `model.` and `.weight`: `embed_tokens`, `norm`, `lm_head`,
 * `layers.0.self_attn.q_proj`, `layers.0.self_attn.q_proj.bias`, `layers.0.mlp.gate_proj`, `layers.0.input_layernorm`, `layers.0.post_attention_layernorm`.
 * Norms hold what is multiplied by. Rows of q and k stand in half-split RoPE order: a GGUF file's interleaved rows are put back by the reader.
 */
export interface ModelFile {
  readonly format: "gguf" | "safetensors";
  readonly path: string;
  readonly config: ModelConfig;
  /** GGUF metadata by key (empty for safetensors): strings, numbers, booleans, arrays of them; 64-bit integers as number. */
  readonly metadata: ReadonlyMap<string, unknown>;
  /** Names, types and shapes of all tensors, without reading them. */
  readonly tensors: ReadonlyMap<string, { type: TensorType; shape: number[]; byteLength: number }>;
  /**
   * Reads one tensor and nothing else, or some of its rows, of which whole heads where they are queries' or keys'.
   * @throws {ModelError} when it is missing or the file is truncated
   */
  tensor(name: string, part?: RowRange): Promise<WeightTensor>;
  /** Paths of all files that the model is made of, in the order of their names. */
  readonly files: readonly string[];
  /** A small file that stands beside the weights and says how the model is used, whole. Null where there is none: a GGUF file says all itself. */
  beside(name: string): Promise<Uint8Array | null>;
  close(): Promise<void>;
}
