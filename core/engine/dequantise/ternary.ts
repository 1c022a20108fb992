/** TQ1_0 and TQ2_0: 256 values d · (-1, 0 or 1). Source: llama.cpp `ggml-quants.c`, gguf-py `quants.py`. */
import { HALF } from "./half.ts";

/** What brings the k-th ternary digit of a byte to its front, modulo 256. */
const POWERS = [1, 3, 9, 27, 81];

/**
 * 48 bytes of five digits, 4 of four, d (f16). A byte is a fraction in base 3: times 3 its whole part is the first digit. Digit k of bytes 0 to 31 are
 * values 32k to 32k + 31, and so on with bytes 32 to 47 and with the last four.
 */
export function tq1_0(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 54, o += 256) {
    scales[b] = HALF[bytes[i + 52]! | (bytes[i + 53]! << 8)]!;
    let to = o;
    for (const [from, count, digits] of [[i, 32, 5], [i + 32, 16, 5], [i + 48, 4, 4]] as const) {
      for (let k = 0; k < digits; k++) {
        for (let n = 0; n < count; n++) integers[to++] = ((((bytes[from + n]! * POWERS[k]!) & 255) * 3) >> 8) - 1;
      }
    }
  }
}

/** 64 bytes of two-bit numbers, d (f16): the k-th of 32 bytes are values 32k to 32k + 31 of their half. */
export function tq2_0(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 66) {
    scales[b] = HALF[bytes[i + 64]! | (bytes[i + 65]! << 8)]!;
    for (let half = 0; half < 64; half += 32) {
      for (let shift = 0; shift < 8; shift += 2) {
        for (let n = 0; n < 32; n++) integers[to++] = ((bytes[i + half + n]! >> shift) & 3) - 1;
      }
    }
  }
}
