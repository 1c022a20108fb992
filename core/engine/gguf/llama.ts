/** GGUF metadata and tensor names of Llama models, as llama.cpp's `convert_hf_to_gguf.py` writes them. */
import { ModelError } from "../../errors.ts";
import { SUPPORTED_ARCHITECTURES } from "../llama_shape.ts";
import type { ModelConfig, RopeScaling } from "../weights.ts";
import { quote } from "./values.ts";

const TOP_NAMES: Record<string, string> = {
  "token_embd.weight": "embed_tokens",
  "output_norm.weight": "norm",
  "output.weight": "lm_head",
};
const LAYER_NAMES: Record<string, string> = {
  "attn_norm.weight": "input_layernorm",
  "attn_q.weight": "self_attn.q_proj",
  "attn_k.weight": "self_attn.k_proj",
  "attn_v.weight": "self_attn.v_proj",
  "attn_q_norm.weight": "self_attn.q_norm",
  "attn_k_norm.weight": "self_attn.k_norm",
  "attn_output.weight": "self_attn.o_proj",
  "ffn_norm.weight": "post_attention_layernorm",
  "ffn_gate.weight": "mlp.gate_proj",
  "ffn_up.weight": "mlp.up_proj",
  "ffn_down.weight": "mlp.down_proj",
};

/** Divisors of the rotary frequencies; part of the configuration, not of the weights. */
export const ROPE_FACTORS = "rope_freqs.weight";

/**
 * Our name of a GGUF tensor; its own name when we know none, null when it carries nothing (old converters' frequency
 * tables).
 */
export function mapName(name: string): string | null {
  if (Object.hasOwn(TOP_NAMES, name)) return TOP_NAMES[name];
  const layer = /^blk\.(\d{1,9})\.(.+)$/.exec(name);
  if (!layer) return name;
  if (layer[2] === "attn_rot_embd.weight") return null;
  return Object.hasOwn(LAYER_NAMES, layer[2]) ? `layers.${layer[1]}.${LAYER_NAMES[layer[2]]}` : name;
}

/** @throws {ModelError} for other architectures than `SUPPORTED_ARCHITECTURES`, and for one part of several. */
export function checkArchitecture(path: string, metadata: ReadonlyMap<string, unknown>): void {
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string" || !SUPPORTED_ARCHITECTURES.includes(architecture)) {
    const met = typeof architecture === "string" ? quote(architecture) : "missing";
    throw new ModelError(
      `Cannot use model ${path}: its architecture (general.architecture) is ${met}; ${
        SUPPORTED_ARCHITECTURES.join(", ")
      } works`,
    );
  }
  const parts = metadata.get("split.count");
  if (typeof parts === "number" && parts > 1) {
    throw new ModelError(
      `Cannot use model ${path}: it is one of ${parts} parts; join them first (llama-gguf-split --merge) and give ` +
        "the whole file",
    );
  }
}

/**
 * The configuration that a file's metadata states. `embedding` is the shape of `token_embd.weight`, [vocab, hidden]:
 * its rows are the width of the logits, of which the tokenizer may use fewer.
 *
 * @throws {ModelError} for missing, impossible or unsupported values.
 */
export function llamaConfig(
  path: string,
  metadata: ReadonlyMap<string, unknown>,
  embedding: number[] | undefined,
  tied: boolean,
): ModelConfig {
  const architecture = metadata.get("general.architecture") as string;
  const refuse = (key: string, value: unknown, works: string): ModelError =>
    new ModelError(`Cannot use model ${path}: ${key} is ${shown(value)}; ${works}`);

  const read = (key: string): [string, unknown] => {
    const full = `${architecture}.${key}`;
    const value = metadata.get(full);
    // Per-layer lists are fine when they are constant.
    return [full, Array.isArray(value) && value.length > 0 && value.every((v) => v === value[0]) ? value[0] : value];
  };
  const whole = (key: string, otherwise?: number): number => {
    const [full, value] = read(key);
    if (value === undefined && otherwise !== undefined) return otherwise;
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
    throw refuse(full, value, "a whole number from 1 to 2^31 is needed");
  };
  const positive = (key: string, otherwise?: number): number => {
    const [full, value] = read(key);
    if (value === undefined && otherwise !== undefined) return otherwise;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw refuse(full, value, "a number above 0 is needed");
  };

  const hidden = whole("embedding_length");
  const heads = whole("attention.head_count");
  const headDim = whole("attention.key_length", hidden / heads);
  if (!Number.isInteger(headDim)) {
    throw refuse(`${architecture}.attention.head_count`, heads, `it must divide the hidden size ${hidden}`);
  }
  for (const key of ["attention.value_length", "rope.dimension_count"]) {
    if (whole(key, headDim) !== headDim) throw refuse(`${architecture}.${key}`, whole(key), `only ${headDim} works`);
  }
  if (read("expert_count")[1]) throw refuse(...read("expert_count"), "models without experts work");
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const vocab = embedding?.[0] ?? (Array.isArray(tokens) ? tokens.length : 0);
  if (Array.isArray(tokens) && tokens.length > vocab) {
    throw refuse("the number of tokens", tokens.length, `the embedding matrix has only ${vocab} rows`);
  }
  const name = metadata.get("general.name");
  return {
    architecture,
    name: typeof name === "string" && name !== "" ? name : path.replace(/^.*[/\\]/, "").replace(/\.gguf$/i, ""),
    layers: whole("block_count"),
    hidden,
    heads,
    kvHeads: whole("attention.head_count_kv", heads),
    headDim,
    ffn: whole("feed_forward_length"),
    vocab,
    trainedPositions: whole("context_length"),
    normEps: positive("attention.layer_norm_rms_epsilon"),
    ropeTheta: positive("rope.freq_base", 10000),
    ropeScaling: ropeScaling(),
    tied,
    qkNorm: architecture === "qwen3",
  };

  function ropeScaling(): RopeScaling | null {
    const [full, kind = "none"] = read("rope.scaling.type");
    // Before `rope.scaling.*` the factor stood alone.
    const factor = positive("rope.scaling.factor", positive("rope.scale_linear", 1));
    if (kind === "none" && factor === 1) return null;
    if (kind === "linear" || kind === "none") return factor === 1 ? null : { kind: "linear", factor };
    throw refuse(full, kind, '"none" and "linear" work (and llama3 scaling as rope_freqs.weight)');
  }
}

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  return typeof value === "string" ? quote(value) : quote(JSON.stringify(value)).slice(1, -1);
}
