/** GGUF metadata and tensor names, as llama.cpp's `convert_hf_to_gguf.py` writes them: what all families of models have in common. */
import { ModelError } from "../../errors.ts";
import { ggufArchitectures } from "../architectures/all.ts";
import type { Architecture, Keys } from "../architectures/architecture.ts";
import { type ModelConfig, PLAIN, type RopeScaling } from "../weights.ts";
import { quote, shown } from "./values.ts";

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
  "attn_q.bias": "self_attn.q_proj.bias",
  "attn_k.bias": "self_attn.k_proj.bias",
  "attn_v.bias": "self_attn.v_proj.bias",
  "attn_q_norm.weight": "self_attn.q_norm",
  "attn_k_norm.weight": "self_attn.k_norm",
  "attn_output.weight": "self_attn.o_proj",
  "ffn_norm.weight": "post_attention_layernorm",
  "ffn_gate.weight": "mlp.gate_proj",
  "ffn_up.weight": "mlp.up_proj",
  "ffn_down.weight": "mlp.down_proj",
};

/**
 * Divisors of the rotary frequencies; part of the configuration, not of the weights. A model whose positions were stretched by other divisors than it
 * was trained with first has both: the first are for texts within its first positions, which is where all is kept here (`architectures/phi3.ts`).
 */
export const ROPE_FACTORS = ["rope_freqs.weight", "rope_factors_short.weight"],
  UNUSED_FACTORS = "rope_factors_long.weight";

/**
 * Our name of a GGUF tensor; its own name when we know none, null when it carries nothing (old converters' frequency
 * tables).
 * @param own of a layer's tensors, those that the family names otherwise than Llama
 */
export function mapName(name: string, own: Record<string, string> = {}): string | null {
  if (Object.hasOwn(TOP_NAMES, name)) return TOP_NAMES[name];
  const layer = /^blk\.(\d{1,9})\.(.+)$/.exec(name);
  if (!layer) return name;
  if (layer[2] === "attn_rot_embd.weight") return null;
  const names = Object.hasOwn(own, layer[2]) ? own : LAYER_NAMES;
  return Object.hasOwn(names, layer[2]) ? `layers.${layer[1]}.${names[layer[2]]}` : name;
}

/** @throws {ModelError} for a family of models that cannot be run, and for one part of several. */
export function architectureOf(path: string, metadata: ReadonlyMap<string, unknown>): Architecture {
  const name = metadata.get("general.architecture");
  const architecture = typeof name === "string" ? ggufArchitectures.get(name) : undefined;
  if (!architecture) {
    const met = typeof name === "string" ? quote(name) : "missing";
    throw new ModelError(
      `Cannot use model ${path}: its architecture (general.architecture) is ${met}; ${
        [...ggufArchitectures.keys()].join(", ")
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
  return architecture;
}

/**
 * The configuration that a file's metadata states. `embedding` is the shape of `token_embd.weight`, [vocab, hidden]:
 * its rows are the width of the logits, of which the tokenizer may use fewer.
 *
 * @throws {ModelError} for missing, impossible or unsupported values.
 */
export function ggufConfig(
  path: string,
  architecture: Architecture,
  metadata: ReadonlyMap<string, unknown>,
  embedding: number[] | undefined,
  tied: boolean,
): ModelConfig {
  const keys = keysOf(path, architecture.name, metadata), { value, whole, positive, refuse } = keys;
  const hidden = whole("embedding_length");
  const heads = whole("attention.head_count");
  const headDim = whole("attention.key_length", hidden / heads);
  if (!Number.isInteger(headDim)) {
    throw refuse("attention.head_count", heads, `it must divide the hidden size ${hidden}`);
  }
  const valueLength = whole("attention.value_length", headDim);
  if (valueLength !== headDim) throw refuse("attention.value_length", valueLength, `only ${headDim} works`);
  const rotaryDim = whole("rope.dimension_count", headDim);
  if (rotaryDim > headDim || rotaryDim % 2 !== 0 && rotaryDim !== headDim) {
    throw refuse("rope.dimension_count", rotaryDim, `an even number up to ${headDim} works`);
  }
  if (value("expert_count")) throw refuse("expert_count", value("expert_count"), "models without experts work");
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const vocab = embedding?.[0] ?? (Array.isArray(tokens) ? tokens.length : 0);
  if (Array.isArray(tokens) && tokens.length > vocab) {
    throw new ModelError(
      `Cannot use model ${path}: the number of tokens is ${tokens.length}; the embedding matrix has only ${vocab} rows`,
    );
  }
  const name = metadata.get("general.name");
  const plain: ModelConfig = {
    ...PLAIN,
    architecture: architecture.name,
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
    rotaryDim,
    ropeScaling: ropeScaling(),
    tied,
  };
  return architecture.gguf?.config?.(plain, keys) ?? plain;

  function ropeScaling(): RopeScaling | null {
    const kind = value("rope.scaling.type") ?? "none";
    // Before `rope.scaling.*` the factor stood alone.
    const factor = positive("rope.scaling.factor", positive("rope.scale_linear", 1));
    if (kind === "none" && factor === 1) return null;
    if (kind === "linear" || kind === "none") return factor === 1 ? null : { kind: "linear", factor };
    if (kind === "longrope") return null;
    throw refuse("rope.scaling.type", kind, '"none" and "linear" work (and llama3 scaling as rope_freqs.weight)');
  }
}

/** Values by their names without the family's in front. */
export function keysOf(path: string, family: string, metadata: ReadonlyMap<string, unknown>): Keys {
  const refuse = (key: string, value: unknown, works: string): ModelError =>
    new ModelError(`Cannot use model ${path}: ${family}.${key} is ${shown(value)}; ${works}`);
  const value = (key: string): unknown => {
    const value = metadata.get(`${family}.${key}`);
    // Per-layer lists are fine when they are constant.
    return Array.isArray(value) && value.length > 0 && value.every((v) => v === value[0]) ? value[0] : value;
  };
  return {
    value,
    list: (key) => metadata.get(`${family}.${key}`),
    refuse,
    whole(key, otherwise) {
      const found = value(key) ?? otherwise;
      if (typeof found === "number" && Number.isInteger(found) && found >= 1 && found < 2 ** 31) return found;
      throw refuse(key, found, "a whole number from 1 to 2^31 is needed");
    },
    positive(key, otherwise) {
      const found = value(key) ?? otherwise;
      if (typeof found === "number" && Number.isFinite(found) && found > 0) return found;
      throw refuse(key, found, "a number above 0 is needed");
    },
    only(key, ...works) {
      const found = value(key) ?? works[0];
      if (!works.includes(found)) throw refuse(key, found, `${works.map((v) => JSON.stringify(v)).join(" or ")} works`);
    },
  };
}
