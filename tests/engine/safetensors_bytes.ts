/** Writes safetensors bytes for tests, valid or not. */

export interface StoredTensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export function safetensorsBytes(tensors: Record<string, StoredTensor>, metadata?: Record<string, string>): Uint8Array {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  return withHeader(JSON.stringify(header), Object.values(tensors).map((t) => t.bytes));
}

/** Any text as the header. */
export function withHeader(header: string, data: Uint8Array[] = []): Uint8Array {
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + text.length + data.reduce((sum, part) => sum + part.length, 0));
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  let at = 8 + text.length;
  for (const part of data) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const LLAMA_CONFIG = {
  model_type: "llama",
  hidden_size: 4,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 2,
  intermediate_size: 3,
  vocab_size: 5,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  tie_word_embeddings: true,
  rope_theta: 10000,
};

/** Tensors of `LLAMA_CONFIG` in Hugging Face's names, BF16 matrices and F32 norms. */
export function llamaTensors(): Record<string, StoredTensor> {
  const shapes: [string, number[]][] = [
    ["model.embed_tokens", [5, 4]],
    ["model.norm", [4]],
    ["model.layers.0.input_layernorm", [4]],
    ["model.layers.0.self_attn.q_proj", [4, 4]],
    ["model.layers.0.self_attn.k_proj", [2, 4]],
    ["model.layers.0.self_attn.v_proj", [2, 4]],
    ["model.layers.0.self_attn.o_proj", [4, 4]],
    ["model.layers.0.post_attention_layernorm", [4]],
    ["model.layers.0.mlp.gate_proj", [3, 4]],
    ["model.layers.0.mlp.up_proj", [3, 4]],
    ["model.layers.0.mlp.down_proj", [4, 3]],
  ];
  return Object.fromEntries(shapes.map(([name, shape], i) => {
    const count = shape.reduce((a, b) => a * b, 1), matrix = shape.length === 2;
    const bytes = new Uint8Array(count * (matrix ? 2 : 4)).map((_, j) => (i * 31 + j * 7) % 120);
    return [name + ".weight", { dtype: matrix ? "BF16" : "F32", shape, bytes }];
  }));
}
