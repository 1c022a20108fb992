/** Writes GGUF bytes for tests, valid or not: counts, types and offsets can be made to lie. */

export type GgufValue = { type: number; value: unknown } | {
  type: 9;
  element: number;
  value: unknown[];
  count?: number;
};

export interface GgufTensor {
  name: string;
  /** Outermost first. */
  shape: number[];
  type: number;
  bytes: Uint8Array;
  /** In place of the true one. */
  offset?: number;
}

export interface GgufFile {
  version?: number;
  metadata?: [string, GgufValue][];
  tensors?: GgufTensor[];
  tensorCount?: number;
  metadataCount?: number;
  alignment?: number;
}

export const u32 = (value: number): GgufValue => ({ type: 4, value });
export const f32 = (value: number): GgufValue => ({ type: 6, value });
export const text = (value: string): GgufValue => ({ type: 8, value });
export const texts = (value: string[]): GgufValue => ({ type: 9, element: 8, value });

export function ggufBytes(file: GgufFile): Uint8Array {
  const parts: Uint8Array[] = [];
  const alignment = file.alignment ?? 32, metadata = file.metadata ?? [], tensors = file.tensors ?? [];
  const put = (length: number, write: (view: DataView) => void) => {
    const bytes = new Uint8Array(length);
    write(new DataView(bytes.buffer));
    parts.push(bytes);
  };
  const putU32 = (n: number) => put(4, (v) => v.setUint32(0, n, true));
  const putU64 = (n: number) => put(8, (v) => v.setBigUint64(0, BigInt(n), true));
  const putText = (s: string) => {
    const bytes = new TextEncoder().encode(s);
    putU64(bytes.length);
    parts.push(bytes);
  };
  const putScalar = (type: number, value: unknown) => {
    const n = value as number;
    if (type === 0) put(1, (v) => v.setUint8(0, n));
    else if (type === 1) put(1, (v) => v.setInt8(0, n));
    else if (type === 2) put(2, (v) => v.setUint16(0, n, true));
    else if (type === 3) put(2, (v) => v.setInt16(0, n, true));
    else if (type === 5) put(4, (v) => v.setInt32(0, n, true));
    else if (type === 6) put(4, (v) => v.setFloat32(0, n, true));
    else if (type === 7) put(1, (v) => v.setUint8(0, value ? 1 : 0));
    else if (type === 8) putText(value as string);
    else if (type === 10) putU64(n);
    else if (type === 11) put(8, (v) => v.setBigInt64(0, BigInt(n), true));
    else if (type === 12) put(8, (v) => v.setFloat64(0, n, true));
    else putU32(n);
  };
  const putValue = (value: GgufValue) => {
    if (!("element" in value)) return putScalar(value.type, value.value);
    putU32(value.element);
    putU64(value.count ?? value.value.length);
    for (const item of value.value) {
      if (value.element === 9) putValue(item as GgufValue);
      else putScalar(value.element, item);
    }
  };

  putU32(0x46554747);
  putU32(file.version ?? 3);
  putU64(file.tensorCount ?? tensors.length);
  putU64(file.metadataCount ?? metadata.length);
  for (const [key, value] of metadata) {
    putText(key);
    putU32(value.type);
    putValue(value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    putText(tensor.name);
    putU32(tensor.shape.length);
    for (const n of [...tensor.shape].reverse()) putU64(n);
    putU32(tensor.type);
    putU64(tensor.offset ?? offset);
    offset += Math.ceil(tensor.bytes.length / alignment) * alignment;
  }
  const pad = () => {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    parts.push(new Uint8Array((alignment - length % alignment) % alignment));
  };
  pad();
  for (const tensor of tensors) {
    parts.push(tensor.bytes);
    pad();
  }
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * The smallest valid Llama: 1 layer, hidden 4, 2 heads of 2, 1 key/value head, feed-forward 3, 5 tokens; weights count
 * upwards.
 */
export function tinyLlama(): { metadata: [string, GgufValue][]; tensors: GgufTensor[] } {
  const metadata: [string, GgufValue][] = [
    ["general.architecture", text("llama")],
    ["llama.block_count", u32(1)],
    ["llama.context_length", u32(64)],
    ["llama.embedding_length", u32(4)],
    ["llama.feed_forward_length", u32(3)],
    ["llama.attention.head_count", u32(2)],
    ["llama.attention.head_count_kv", u32(1)],
    ["llama.attention.layer_norm_rms_epsilon", f32(1e-5)],
    ["tokenizer.ggml.tokens", texts(["a", "b", "c", "d", "\uFEFFe"])],
  ];
  const shapes: [string, number[]][] = [
    ["token_embd", [5, 4]],
    ["output_norm", [4]],
    ["blk.0.attn_norm", [4]],
    ["blk.0.attn_q", [4, 4]],
    ["blk.0.attn_k", [2, 4]],
    ["blk.0.attn_v", [2, 4]],
    ["blk.0.attn_output", [4, 4]],
    ["blk.0.ffn_norm", [4]],
    ["blk.0.ffn_gate", [3, 4]],
    ["blk.0.ffn_up", [3, 4]],
    ["blk.0.ffn_down", [4, 3]],
  ];
  let next = 1;
  const tensors = shapes.map(([name, shape]) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next++);
    return { name: name + ".weight", shape, type: 0, bytes: new Uint8Array(values.buffer) };
  });
  return { metadata, tensors };
}
