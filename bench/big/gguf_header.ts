/** The head of a GGUF file, version 3: everything before the tensors' data. */

export type HeaderValue = number | string | string[] | Int32Array | { float: number };

export interface HeaderTensor {
  name: string;
  /** Outermost first. */
  shape: number[];
  /** `enum ggml_type`. */
  type: number;
  /** From the beginning of the data. */
  offset: number;
  bytes: number;
}

/** Filled up to a multiple of 32 bytes, where the data begin. Numbers become u32. */
export function ggufHeader(metadata: [string, HeaderValue][], tensors: HeaderTensor[]): Uint8Array {
  const parts: Uint8Array[] = [], utf8 = new TextEncoder();
  const u32 = (value: number) => parts.push(new Uint8Array(Uint32Array.of(value).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  const text = (value: string) => {
    const bytes = utf8.encode(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  u32(0x46554747);
  u32(3);
  u64(tensors.length);
  u64(metadata.length);
  for (const [key, value] of metadata) {
    text(key);
    if (typeof value === "number") {
      u32(4);
      u32(value);
    } else if (typeof value === "string") {
      u32(8);
      text(value);
    } else if (value instanceof Int32Array) {
      u32(9);
      u32(5);
      u64(value.length);
      parts.push(new Uint8Array(value.buffer));
    } else if (Array.isArray(value)) {
      u32(9);
      u32(8);
      u64(value.length);
      for (const item of value) text(item);
    } else {
      u32(6);
      parts.push(new Uint8Array(Float32Array.of(value.float).buffer));
    }
  }
  for (const { name, shape, type, offset } of tensors) {
    text(name);
    u32(shape.length);
    for (const size of shape.toReversed()) u64(size);
    u32(type);
    u64(offset);
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0), out = new Uint8Array(32 * Math.ceil(length / 32));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
