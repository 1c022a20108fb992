/**
 * Writes a golden model as GGUF, the way llama.cpp's `convert_hf_to_gguf.py` writes its family: so a vector in Hugging Face's form also tests what is read
 * of GGUF files. Knows nothing of what reads them. Files so written give llama.cpp the same greedy tokens, too.
 */
import { join } from "node:path";
import { f32, ggufBytes, type GgufTensor, type GgufValue, text, texts, u32 } from "../engine/gguf_bytes.ts";
import { readArrays, readJson } from "./open.ts";

type Config = Record<string, any>;

/** GGUF's name of a family; Mistral's files say that they are Llama's. */
const ARCHITECTURES: Record<string, string> = { mistral: "llama", gemma3_text: "gemma3" };

const TOP: Record<string, string> = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight",
};
const LAYER: Record<string, string> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.qkv_proj": "attn_qkv",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "self_attn.o_proj": "attn_output",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.gate_up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};
const GEMMA_LAYER = {
  ...LAYER,
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};

/** @param folder `config.json` in the form of transformers 5, and `model.safetensors` in float32 */
export async function asGguf(folder: string): Promise<Uint8Array> {
  const config: Config = await readJson(join(folder, "config.json")),
    arrays = await readArrays(join(folder, "model.safetensors"));
  const type: string = config.model_type, architecture = ARCHITECTURES[type] ?? type;
  const layerNames = type === "gemma3_text" ? GEMMA_LAYER : LAYER,
    isPermuted = ["llama", "mistral", "smollm3"].includes(type);
  const tensors: GgufTensor[] = [];
  const add = (name: string, shape: number[], values: Float32Array) =>
    tensors.push({ name, shape, type: 0, bytes: new Uint8Array(values.slice().buffer) });
  for (const stored of arrays.names) {
    const shape = arrays.shape(stored);
    let values = Float32Array.from(arrays.data(stored));
    const layer = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(stored);
    const name = layer
      ? `blk.${layer[1]}.${layerNames[layer[2]! as keyof typeof layerNames]}.${layer[3]}`
      : TOP[stored]!;
    const heads =
      { q: config.num_attention_heads, k: config.num_key_value_heads }[/([qk])_proj/.exec(stored)?.[1] ?? ""];
    if (isPermuted && heads) values = permuted(values, shape[0]!, heads);
    if (type === "gemma3_text" && name.endsWith("norm.weight")) values = values.map((gain) => gain + 1);
    add(name, shape, values);
  }
  const metadata = metadataOf(config, architecture);
  for (const [name, factors] of factorsOf(config)) add(name, [factors.length], factors);
  return ggufBytes({ metadata, tensors });
}

/** `permute` of the converter: both halves of a head's rows take turns. */
function permuted(values: Float32Array, rows: number, heads: number): Float32Array<ArrayBuffer> {
  const columns = values.length / rows, size = rows / heads, out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % size, half = size / 2;
    const to = row - inHead + (inHead % half) * 2 + Math.floor(inHead / half);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

const headDimOf = (config: Config): number => config.head_dim ?? config.hidden_size / config.num_attention_heads;
const ropeOf = (config: Config): Config => config.rope_parameters.full_attention ?? config.rope_parameters;
const rotaryDimOf = (config: Config): number =>
  Math.trunc(headDimOf(config) * (ropeOf(config).partial_rotary_factor ?? 1));

function metadataOf(config: Config, architecture: string): [string, GgufValue][] {
  const headDim = headDimOf(config), rope = ropeOf(config), tokens = tokensOf(config.vocab_size);
  const own: [string, GgufValue][] = [
    ["context_length", u32(config.max_position_embeddings)],
    ["embedding_length", u32(config.hidden_size)],
    ["block_count", u32(config.num_hidden_layers)],
    ["feed_forward_length", u32(config.intermediate_size)],
    ["attention.head_count", u32(config.num_attention_heads)],
    ["attention.head_count_kv", u32(config.num_key_value_heads)],
    ["attention.key_length", u32(headDim)],
    ["attention.value_length", u32(headDim)],
    ["attention.layer_norm_rms_epsilon", f32(config.rms_norm_eps)],
    ["rope.dimension_count", u32(rotaryDimOf(config))],
    ["rope.freq_base", f32(rope.rope_theta)],
    ["vocab_size", u32(config.vocab_size)],
  ];
  if (config.model_type === "gemma3_text") {
    const isSliding = config.layer_types.map((kind: string) => kind === "sliding_attention");
    own.push(
      ["attention.sliding_window", u32(config.sliding_window)],
      ["attention.sliding_window_pattern", { type: 9, element: 7, value: isSliding }],
      ["rope.freq_base_swa", f32(config.rope_parameters.sliding_attention.rope_theta)],
      ["attention.scale", f32(1 / Math.sqrt(config.query_pre_attn_scalar))],
    );
  }
  if (config.model_type === "phi3") {
    const { original_max_position_embeddings: original, max_position_embeddings: most } = config,
      times = most / original;
    own.push(["rope.scaling.original_context_length", u32(original)]);
    if (rope.rope_type === "longrope") {
      own.push(["rope.scaling.attn_factor", f32(times > 1 ? Math.sqrt(1 + Math.log(times) / Math.log(original)) : 1)]);
    }
  }
  return [
    ["general.architecture", text(architecture)],
    ["general.name", text("golden model")],
    ...own.map(([key, value]): [string, GgufValue] => [`${architecture}.${key}`, value]),
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.tokens", texts(tokens.map(([token]) => token))],
    ["tokenizer.ggml.scores", { type: 9, element: 6, value: tokens.map(() => 0) }],
    ["tokenizer.ggml.token_type", { type: 9, element: 5, value: tokens.map(([, type]) => type) }],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
    ["tokenizer.ggml.add_bos_token", { type: 7, value: false }],
  ];
}

/** A vocabulary for the sake of llama.cpp, which opens nothing without: [token, type]. */
export function tokensOf(count: number): [string, number][] {
  const byte = (i: number) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`;
  return Array.from({ length: count }, (_, i) => {
    if (i < 3) return [["<unk>", "<s>", "</s>"][i]!, i === 0 ? 2 : 3];
    return i < 259 ? [byte(i - 3), 6] : [`t${i}`, 1];
  });
}

/** `rope_freqs` as `LlamaModel.generate_extra_tensors` makes them, `rope_factors_long` and `_short` as `Phi3MiniModel`'s. */
function factorsOf(config: Config): [string, Float32Array<ArrayBuffer>][] {
  const rope = ropeOf(config);
  if (rope.rope_type === "longrope") {
    return [
      ["rope_factors_long.weight", Float32Array.from(rope.long_factor)],
      ["rope_factors_short.weight", Float32Array.from(rope.short_factor)],
    ];
  }
  if (rope.rope_type !== "llama3") return [];
  const dim = headDimOf(config), { factor, low_freq_factor: low, high_freq_factor: high } = rope;
  const original = rope.original_max_position_embeddings;
  const factors = Float32Array.from({ length: dim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * rope.rope_theta ** (2 * i / dim);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
  return [["rope_freqs.weight", factors]];
}
