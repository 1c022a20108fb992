/**
 * K-quants: super-blocks of 256 values whose sub-blocks have integer scales of their own. Source: llama.cpp
 * `ggml-quants.c`, gguf-py `quants.py`. Every product fits 24 bits and every difference a double, so one rounding on
 * store is exact.
 */
import { HALF } from "./half.ts";

/**
 * The j-th of the eight 6-bit scales in the 12 bytes at `i`: j < 4 in bytes j; above, low bits in byte j + 4 and the
 * two high bits on top of byte j - 4.
 */
export function scale6(bytes: Uint8Array, i: number, j: number): number {
  return j < 4 ? bytes[i + j] & 63 : (bytes[i + j + 4] & 15) | ((bytes[i + j - 4] >> 6) << 4);
}

/** The j-th of the eight 6-bit minima in the same 12 bytes. */
export function minimum6(bytes: Uint8Array, i: number, j: number): number {
  return j < 4 ? bytes[i + j + 4] & 63 : (bytes[i + j + 4] >> 4) | ((bytes[i + j] >> 6) << 4);
}

/** 16 bytes of scales (low nibbles) and minima (high), 64 bytes of two-bit numbers, d, dmin (f16): the k-th of 32 bytes are sub-blocks 2k and 2k + 1. */
export function q2_k(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 84) {
    const d = HALF[bytes[i + 80] | (bytes[i + 81] << 8)];
    const dmin = HALF[bytes[i + 82] | (bytes[i + 83] << 8)];
    for (let s = 0; s < 16; s++) {
      const scale = d * (bytes[i + s] & 15), minimum = dmin * (bytes[i + s] >> 4);
      const from = i + 16 + (s >> 3) * 32 + (s & 1) * 16, shift = s & 6;
      for (let n = 0; n < 16; n++) out[o++] = scale * ((bytes[from + n] >> shift) & 3) - minimum;
    }
  }
}

/**
 * 32 bytes of high bits, 64 bytes of two-bit numbers as in Q2_K, 12 bytes of six-bit scales, d (f16): a scale and an integer from -4 to 3 of each value
 * (`scaled.ts`). Bit k of byte n of the high bits, where it is not set, takes 4 from value n of the k-th 32. Scales have low nibbles of 0 to 7, then high
 * ones of 8 to 15, and of s two bits more in byte 8 + s % 4.
 */
export function q3_k(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 110) {
    const d = HALF[bytes[i + 108] | (bytes[i + 109] << 8)];
    for (let s = 0; s < 16; s++) {
      const low = (bytes[i + 96 + (s & 7)] >> (s >> 3) * 4) & 15, high = (bytes[i + 104 + (s & 3)] >> (s >> 2) * 2) & 3;
      scales[b * 16 + s] = d * ((low | (high << 4)) - 32);
      const from = i + 32 + (s >> 3) * 32 + (s & 1) * 16, masks = i + (s & 1) * 16, shift = s & 6;
      for (let n = 0; n < 16; n++) {
        integers[o++] = ((bytes[from + n] >> shift) & 3) - ((bytes[masks + n] >> (s >> 1)) & 1 ? 0 : 4);
      }
    }
  }
}

/** d, dmin (f16), 12 bytes of scales, 128 bytes of nibbles: 32 bytes hold sub-blocks 2n (low) and 2n + 1 (high). */
export function q4_k(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 144, o += 256) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    const dmin = HALF[bytes[i + 2] | (bytes[i + 3] << 8)];
    for (let j = 0; j < 8; j += 2) {
      const dLow = d * scale6(bytes, i + 4, j), mLow = dmin * minimum6(bytes, i + 4, j);
      const dHigh = d * scale6(bytes, i + 4, j + 1), mHigh = dmin * minimum6(bytes, i + 4, j + 1);
      const from = i + 16 + j * 16, to = o + j * 32;
      for (let n = 0; n < 32; n++) {
        const pair = bytes[from + n];
        out[to + n] = dLow * (pair & 15) - mLow;
        out[to + n + 32] = dHigh * (pair >> 4) - mHigh;
      }
    }
  }
}

/** As Q4_K with 32 bytes of fifth bits before the nibbles: bit j of byte n belongs to value n of sub-block j. */
export function q5_k(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 176, o += 256) {
    const d = HALF[bytes[i] | (bytes[i + 1] << 8)];
    const dmin = HALF[bytes[i + 2] | (bytes[i + 3] << 8)];
    for (let j = 0; j < 8; j += 2) {
      const dLow = d * scale6(bytes, i + 4, j), mLow = dmin * minimum6(bytes, i + 4, j);
      const dHigh = d * scale6(bytes, i + 4, j + 1), mHigh = dmin * minimum6(bytes, i + 4, j + 1);
      const from = i + 48 + j * 16, to = o + j * 32;
      for (let n = 0; n < 32; n++) {
        const pair = bytes[from + n], high = bytes[i + 16 + n] >> j;
        out[to + n] = dLow * ((pair & 15) | ((high & 1) << 4)) - mLow;
        out[to + n + 32] = dHigh * ((pair >> 4) | ((high & 2) << 3)) - mHigh;
      }
    }
  }
}

/**
 * 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d (f16). Each half of 128 values: nibble
 * bytes n and n + 32 give values n, n + 32 (low) and n + 64, n + 96 (high); their bit pairs lie in one byte, lowest
 * first.
 */
export function q6_k(bytes: Uint8Array, out: Float32Array, blocks: number): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 210, o += 256) {
    const d = HALF[bytes[i + 208] | (bytes[i + 209] << 8)];
    for (let half = 0; half < 2; half++) {
      const low = i + half * 64, high = i + 128 + half * 32, scales = i + 192 + half * 8, to = o + half * 128;
      for (let group = 0; group < 2; group++) {
        const s = scales + group;
        const d0 = d * ((bytes[s] << 24) >> 24), d1 = d * ((bytes[s + 2] << 24) >> 24);
        const d2 = d * ((bytes[s + 4] << 24) >> 24), d3 = d * ((bytes[s + 6] << 24) >> 24);
        for (let n = group * 16; n < group * 16 + 16; n++) {
          const a = bytes[low + n], c = bytes[low + n + 32], h = bytes[high + n];
          out[to + n] = d0 * (((a & 15) | ((h & 3) << 4)) - 32);
          out[to + n + 32] = d1 * (((c & 15) | ((h & 12) << 2)) - 32);
          out[to + n + 64] = d2 * (((a >> 4) | (h & 48)) - 32);
          out[to + n + 96] = d3 * (((c >> 4) | ((h & 192) >> 2)) - 32);
        }
      }
    }
  }
}
