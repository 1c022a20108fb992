/**
 * Stored tensors to f32, bit-equal to gguf-py's `gguf.quants.dequantize`. Bytes are little-endian, as is every machine
 * that runs us.
 */
import { ModelError } from "../errors.ts";
import { HALF } from "./dequantise/half.ts";
import { q2_k, q4_k, q5_k, q6_k } from "./dequantise/k_quants.ts";
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from "./dequantise/legacy.ts";
import { multiplied, SCALED } from "./dequantise/scaled.ts";
import type { TensorType } from "./weights.ts";

export interface TensorFormat {
  /** Values in one block; rows are whole blocks. */
  blockElements: number;
  blockBytes: number;
  /** `enum ggml_type`. */
  ggmlId: number;
}

/** Block geometry of every tensor type that can be read. */
export const FORMATS: Readonly<Record<TensorType, TensorFormat>> = {
  F32: { blockElements: 1, blockBytes: 4, ggmlId: 0 },
  F16: { blockElements: 1, blockBytes: 2, ggmlId: 1 },
  BF16: { blockElements: 1, blockBytes: 2, ggmlId: 30 },
  Q4_0: { blockElements: 32, blockBytes: 18, ggmlId: 2 },
  Q4_1: { blockElements: 32, blockBytes: 20, ggmlId: 3 },
  Q5_0: { blockElements: 32, blockBytes: 22, ggmlId: 6 },
  Q5_1: { blockElements: 32, blockBytes: 24, ggmlId: 7 },
  Q8_0: { blockElements: 32, blockBytes: 34, ggmlId: 8 },
  Q4_K: { blockElements: 256, blockBytes: 144, ggmlId: 12 },
  Q5_K: { blockElements: 256, blockBytes: 176, ggmlId: 13 },
  Q6_K: { blockElements: 256, blockBytes: 210, ggmlId: 14 },
  Q2_K: { blockElements: 256, blockBytes: 84, ggmlId: 10 },
  Q3_K: { blockElements: 256, blockBytes: 110, ggmlId: 11 },
  IQ1_S: { blockElements: 256, blockBytes: 50, ggmlId: 19 },
  IQ1_M: { blockElements: 256, blockBytes: 56, ggmlId: 29 },
  IQ2_XXS: { blockElements: 256, blockBytes: 66, ggmlId: 16 },
  IQ2_XS: { blockElements: 256, blockBytes: 74, ggmlId: 17 },
  IQ2_S: { blockElements: 256, blockBytes: 82, ggmlId: 22 },
  IQ3_XXS: { blockElements: 256, blockBytes: 98, ggmlId: 18 },
  IQ3_S: { blockElements: 256, blockBytes: 110, ggmlId: 21 },
  IQ4_NL: { blockElements: 32, blockBytes: 18, ggmlId: 20 },
  IQ4_XS: { blockElements: 256, blockBytes: 136, ggmlId: 23 },
  TQ1_0: { blockElements: 256, blockBytes: 54, ggmlId: 34 },
  TQ2_0: { blockElements: 256, blockBytes: 66, ggmlId: 35 },
  MXFP4: { blockElements: 32, blockBytes: 17, ggmlId: 39 },
  NVFP4: { blockElements: 64, blockBytes: 36, ggmlId: 40 },
};

type Decode = (bytes: Uint8Array, out: Float32Array, blocks: number) => void;

const DECODERS = {
  F32: f32,
  F16: f16,
  BF16: bf16,
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q8_0: q8_0,
  Q4_K: q4_k,
  Q5_K: q5_k,
  Q6_K: q6_k,
  Q2_K: q2_k,
  ...Object.fromEntries(
    Object.entries(SCALED).map(([type, scaled]) => [
      type,
      multiplied(scaled, FORMATS[type as keyof typeof SCALED].blockElements),
    ]),
  ) as Record<keyof typeof SCALED, Decode>,
} satisfies Record<TensorType, Decode>;

/**
 * Dequantises whole blocks into `out` (made when absent), [bytes.length / blockBytes * blockElements].
 *
 * @throws {ModelError} when `bytes` is no whole number of blocks or `out` is too short.
 */
export function dequantise(type: TensorType, bytes: Uint8Array, out?: Float32Array): Float32Array {
  const { blockElements, blockBytes } = FORMATS[type];
  const blocks = bytes.length / blockBytes;
  if (!Number.isInteger(blocks)) {
    throw new ModelError(
      `Cannot dequantise ${type}: ${bytes.length} bytes are no multiple of its block of ${blockBytes}`,
    );
  }
  const values = out ?? new Float32Array(blocks * blockElements);
  if (values.length < blocks * blockElements) {
    throw new ModelError(
      `Cannot dequantise ${type}: ${blocks * blockElements} values do not fit into ${values.length}`,
    );
  }
  DECODERS[type](bytes, values, blocks);
  return values;
}

function f32(bytes: Uint8Array, out: Float32Array): void {
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
}

function f16(bytes: Uint8Array, out: Float32Array, count: number): void {
  for (let i = 0, j = 0; i < count; i++, j += 2) out[i] = HALF[bytes[j] | (bytes[j + 1] << 8)];
}

function bf16(bytes: Uint8Array, out: Float32Array, count: number): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  for (let i = 0, j = 0; i < count; i++, j += 2) bits[i] = (bytes[j] << 16) | (bytes[j + 1] << 24);
}
