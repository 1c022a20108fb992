/**
 * Blocks of 32 values with one scale d (and one minimum m): value = d · q or d · q + m. Low nibbles hold values 0 to
 * 15, high ones 16 to 31. Source: llama.cpp `ggml-quants.c`, gguf-py `quants.py`. Every product fits 24 bits and every
 * sum a double, so one rounding on store is exact.
 */
import { HALF } from "./half.ts";

export function q4_0(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 18, o += 32) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    for (let j = 0; j < 16; j++) {
      const pair = bytes[i + 2 + j];
      out[o + j] = d * ((pair & 15) - 8);
      out[o + j + 16] = d * ((pair >> 4) - 8);
    }
  }
}

export function q4_1(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 20, o += 32) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    const m = HALF[bytes[i + 2] | (bytes[i + 3] << 8)];
    for (let j = 0; j < 16; j++) {
      const pair = bytes[i + 4 + j];
      out[o + j] = d * (pair & 15) + m;
      out[o + j + 16] = d * (pair >> 4) + m;
    }
  }
}

/** Bit j of the four bytes at `i` is the fifth bit of value j. */
export function fifthBits(bytes: Uint8Array, i: number): number {
  return bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
}

export function q5_0(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 22, o += 32) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    const high = fifthBits(bytes, i + 2);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[i + 6 + j];
      out[o + j] = d * (((pair & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[o + j + 16] = d * (((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

export function q5_1(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 24, o += 32) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    const m = HALF[bytes[i + 2] | (bytes[i + 3] << 8)];
    const high = fifthBits(bytes, i + 4);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[i + 8 + j];
      out[o + j] = d * ((pair & 15) | (((high >>> j) & 1) << 4)) + m;
      out[o + j + 16] = d * ((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

export function q8_0(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 34, o += 32) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    for (let j = 0; j < 32; j++) out[o + j] = d * ((bytes[i + 2 + j] << 24) >> 24);
  }
}
