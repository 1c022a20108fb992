/**
 * Types whose nibbles name one of 16 values of a table: IQ4_NL, IQ4_XS, MXFP4, NVFP4. Source: llama.cpp `ggml-quants.c`, gguf-py `quants.py`; OCP
 * Microscaling Formats v1.0.
 */
import { HALF } from "./half.ts";

const UNEVEN = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
/** Twice the numbers of E2M1, a sign, two bits of exponent and one of fraction; scales are halved in their place. */
const E2M1 = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

/** `count` bytes: the low nibbles are the first `count` values, the high ones the others. */
function lookUp(table: Int8Array, bytes: Uint8Array, from: number, count: number, integers: Int8Array, to: number) {
  for (let n = 0; n < count; n++) {
    const pair = bytes[from + n]!;
    integers[to + n] = table[pair & 15]!;
    integers[to + n + count] = table[pair >> 4]!;
  }
}

/** d (f16), 16 bytes of nibbles. */
export function iq4_nl(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0; b < blocks; b++, i += 18) {
    scales[b] = HALF[bytes[i]! | (bytes[i + 1]! << 8)]!;
    lookUp(UNEVEN, bytes, i + 2, 16, integers, b * 32);
  }
}

/** d (f16), two high bits of eight scales (16 bits), their four low bits (4 bytes), 8 times 16 bytes of nibbles. */
export function iq4_xs(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0; b < blocks; b++, i += 136) {
    const d = HALF[bytes[i]! | (bytes[i + 1]! << 8)]!, high = bytes[i + 2]! | (bytes[i + 3]! << 8);
    for (let s = 0; s < 8; s++) {
      const low = (bytes[i + 4 + (s >> 1)]! >> (4 * (s & 1))) & 15;
      scales[b * 8 + s] = d * ((low | (((high >> (2 * s)) & 3) << 4)) - 32);
      lookUp(UNEVEN, bytes, i + 8 + s * 16, 16, integers, (b * 8 + s) * 32);
    }
  }
}

/** A power of two (E8M0), 16 bytes of nibbles. */
export function mxfp4(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0; b < blocks; b++, i += 17) {
    scales[b] = 2 ** (bytes[i]! - 128);
    lookUp(E2M1, bytes, i + 1, 16, integers, b * 32);
  }
}

/** Four scales (E4M3 without its sign), 4 times 8 bytes of nibbles. */
export function nvfp4(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0; b < blocks; b++, i += 36) {
    for (let s = 0; s < 4; s++) {
      scales[b * 4 + s] = halfE4m3(bytes[i + s]!);
      lookUp(E2M1, bytes, i + 4 + s * 8, 8, integers, (b * 4 + s) * 16);
    }
  }
}

/** Half of a number with four bits of exponent and three of fraction. 0x7f, which is no number, counts as 0. */
function halfE4m3(byte: number): number {
  if (byte === 0x7f) return 0;
  const exponent = (byte >> 3) & 15, fraction = byte & 7;
  return exponent === 0 ? fraction * 2 ** -10 : (8 + fraction) * 2 ** (exponent - 11);
}
