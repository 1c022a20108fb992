/**
 * IQ1, IQ2 and IQ3: 256 values, 8 or 4 at a time out of a codebook, with scales of sub-blocks. Signs are a bit each, or seven bits for eight values,
 * whose last is such that an even number of them is negative. Source: llama.cpp `ggml-quants.c`, gguf-py `quants.py`.
 */
import { codebook } from "./codebooks.ts";
import { HALF } from "./half.ts";

/** Eight signs, bit n set where value n is negative, by the seven bits that are stored. */
const SIGNS = Uint8Array.from({ length: 128 }, (_, stored) => {
  let isOdd = 0;
  for (let bits = stored; bits; bits >>= 1) isOdd ^= bits & 1;
  return stored | (isOdd << 7);
});

const half = (bytes: Uint8Array, i: number) => HALF[bytes[i]! | (bytes[i + 1]! << 8)]!;
const u16 = (bytes: Uint8Array, i: number) => bytes[i]! | (bytes[i + 1]! << 8);
const u32 = (bytes: Uint8Array, i: number) => (u16(bytes, i) | (u16(bytes, i + 2) << 16)) >>> 0;
/** The n-th nibble, low ones first. */
const nibble = (bytes: Uint8Array, i: number, n: number) => (bytes[i + (n >> 1)]! >> (4 * (n & 1))) & 15;

/** Entries of a codebook, `count` values in all, under eight signs. */
function eight(book: Int8Array, entry: number, signs: number, integers: Int8Array, to: number): void {
  for (let n = 0; n < 8; n++) {
    const value = book[entry * 8 + n]!;
    integers[to + n] = (signs >> n) & 1 ? -value : value;
  }
}

function four(book: Int8Array, entry: number, signs: number, integers: Int8Array, to: number): void {
  for (let n = 0; n < 4; n++) {
    const value = book[entry * 4 + n]!;
    integers[to + n] = (signs >> n) & 1 ? -value : value;
  }
}

/** d (f16); of 32 values each four entries (a byte each), then 32 bits: four times seven of signs and four of the scale. */
export function iq2_xxs(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ2_XXS");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 66) {
    const d = half(bytes, i);
    for (let s = 0, at = i + 2; s < 8; s++, at += 8) {
      const packed = u32(bytes, at + 4);
      scales[b * 8 + s] = d * (0.5 + (packed >>> 28)) * 0.25;
      for (let g = 0; g < 4; g++, to += 8) {
        eight(book, bytes[at + g]!, SIGNS[(packed >>> (7 * g)) & 127]!, integers, to);
      }
    }
  }
}

/** d (f16); 32 times nine bits of an entry and seven of signs; 16 scales of four bits. */
export function iq2_xs(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ2_XS");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 74) {
    const d = half(bytes, i);
    for (let s = 0; s < 16; s++) scales[b * 16 + s] = d * (0.5 + nibble(bytes, i + 66, s)) * 0.25;
    for (let g = 0; g < 32; g++, to += 8) {
      const packed = u16(bytes, i + 2 + 2 * g);
      eight(book, packed & 511, SIGNS[packed >> 9]!, integers, to);
    }
  }
}

/** d (f16); 32 entries, low bytes; 32 bytes of signs; two high bits of the entries (8 bytes); 16 scales of four bits. */
export function iq2_s(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ2_S");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 82) {
    const d = half(bytes, i);
    for (let s = 0; s < 16; s++) scales[b * 16 + s] = d * (0.5 + nibble(bytes, i + 74, s)) * 0.25;
    for (let g = 0; g < 32; g++, to += 8) {
      const high = (bytes[i + 66 + (g >> 2)]! >> (2 * (g & 3))) & 3;
      eight(book, bytes[i + 2 + g]! | (high << 8), bytes[i + 34 + g]!, integers, to);
    }
  }
}

/** d (f16); 64 entries of four values; of 32 values each 32 bits: four times seven of signs and four of the scale. */
export function iq3_xxs(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ3_XXS");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 98) {
    const d = half(bytes, i);
    for (let s = 0; s < 8; s++) {
      const packed = u32(bytes, i + 66 + 4 * s);
      scales[b * 8 + s] = d * (0.5 + (packed >>> 28)) * 0.5;
      for (let g = 0; g < 8; g++, to += 4) {
        const signs = SIGNS[(packed >>> (7 * (g >> 1))) & 127]!;
        four(book, bytes[i + 2 + s * 8 + g]!, signs >> (4 * (g & 1)), integers, to);
      }
    }
  }
}

/** d (f16); 64 entries of four values, low bytes; their ninth bits (8 bytes); 32 bytes of signs; 8 scales of four bits. */
export function iq3_s(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ3_S");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 110) {
    const d = half(bytes, i);
    for (let s = 0; s < 8; s++) scales[b * 8 + s] = d * (1 + 2 * nibble(bytes, i + 106, s));
    for (let g = 0; g < 64; g++, to += 4) {
      const high = (bytes[i + 66 + (g >> 3)]! >> (g & 7)) & 1;
      four(book, bytes[i + 2 + g]! | (high << 8), nibble(bytes, i + 74, g), integers, to);
    }
  }
}

/** An entry of the ternary codebook, in eighths, moved up or down by one of them. */
function moved(book: Int8Array, entry: number, by: 1 | -1, integers: Int8Array, to: number): void {
  for (let n = 0; n < 8; n++) integers[to + n] = 8 * book[entry * 8 + n]! + by;
}

/** d (f16); 32 entries, low bytes; of 32 values each 16 bits: four times three high bits, three of the scale, the move. */
export function iq1_s(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ1_S");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 50) {
    const d = half(bytes, i);
    for (let s = 0; s < 8; s++) {
      const packed = u16(bytes, i + 34 + 2 * s);
      scales[b * 8 + s] = d * (2 * ((packed >> 12) & 7) + 1) / 8;
      for (let g = 0; g < 4; g++, to += 8) {
        const entry = bytes[i + 2 + s * 4 + g]! | (((packed >> (3 * g)) & 7) << 8);
        moved(book, entry, packed & 0x8000 ? -1 : 1, integers, to);
      }
    }
  }
}

/**
 * 32 entries, low bytes; of each a nibble with three high bits and the move; four times 16 bits: four scales of three bits, and a quarter of d (f16), low
 * ones first.
 */
export function iq1_m(bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array): void {
  const book = codebook("IQ1_S");
  for (let b = 0, i = 0, to = 0; b < blocks; b++, i += 56) {
    let bits = 0;
    for (let q = 0; q < 4; q++) bits |= (u16(bytes, i + 48 + 2 * q) >> 12) << (4 * q);
    const d = HALF[bits]!;
    for (let s = 0; s < 16; s++) {
      scales[b * 16 + s] = d * (2 * ((u16(bytes, i + 48 + 2 * (s >> 2)) >> (3 * (s & 3))) & 7) + 1) / 8;
    }
    for (let g = 0; g < 32; g++, to += 8) {
      const high = nibble(bytes, i + 32, g);
      moved(book, bytes[i + g]! | ((high & 7) << 8), high & 8 ? -1 : 1, integers, to);
    }
  }
}
