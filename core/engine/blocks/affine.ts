/**
 * Formats that 8 bits cannot hold exactly: floats, and blocks whose values are d · q + m. Every block gets its own
 * scale and zero point.
 */
import { HALF } from "../dequantise/half.ts";
import { minimum6, scale6 } from "../dequantise/k_quants.ts";
import { fifthBits } from "../dequantise/legacy.ts";

export interface Blocks8 {
  data: Uint8Array;
  scales: Float32Array;
  zeroPoints: Uint8Array;
}

/** Values in one block of what this file writes. */
export const BLOCK = 32 as const;

const SMALLEST_SCALE = 2 ** -120;

/**
 * Quantises `count` ≤ 32 values from `values[from]` on into block `index`; the rest of the block holds the zero point,
 * hence 0. The scale is the smallest whose 256 levels, one of them 0, span the values without clipping. A value that is
 * not finite makes the scale NaN.
 */
export function quantiseBlock(values: Float32Array, from: number, count: number, out: Blocks8, index: number): void {
  let least = 0, most = 0, poison = 0;
  for (let j = from; j < from + count; j++) {
    const v = values[j];
    poison += v - v;
    if (v < least) least = v;
    if (v > most) most = v;
  }
  let zero = 128, scale = 0;
  if (most > least) {
    zero = Math.min(Math.floor(-least / (most - least) * 255), most > 0 ? 254 : 255);
    scale = spanningScale(least, most, zero);
    const other = spanningScale(least, most, zero + 1);
    if (other < scale) {
      scale = other;
      zero++;
    }
  }
  // Below, f32 scales lose precision and then vanish; weights this small are 0.
  scale = scale < SMALLEST_SCALE ? 0 : Math.fround(scale);
  out.scales[index] = scale + poison;
  out.zeroPoints[index] = zero;
  const at = index * BLOCK, inverse = scale > 0 ? 1 / scale : 0, half = zero + 0.5;
  for (let j = 0; j < count; j++) out.data[at + j] = values[from + j] * inverse + half;
  for (let j = count; j < BLOCK; j++) out.data[at + j] = zero;
}

/** Smallest scale with which `zero` levels lie below 0 down to `least` and 255 - `zero` above it up to `most`. */
function spanningScale(least: number, most: number, zero: number): number {
  const below = least === 0 ? 0 : -least / zero;
  const above = most === 0 ? 0 : most / (255 - zero);
  return zero > 255 ? Infinity : Math.max(below, above);
}

/** One block of d · q + m, opened: `q` holds its 32 integers. */
interface OpenBlock {
  d: number;
  m: number;
  q: Uint8Array;
}

interface AffineFormat {
  /** q runs from 0 to levels - 1. */
  levels: number;
  open(bytes: Uint8Array, block: number, into: OpenBlock): void;
}

/** Formats of blocks d · q + m, 32 values each (a sub-block of a K-quant). */
export const AFFINE_FORMATS: Record<"Q4_1" | "Q5_1" | "Q4_K" | "Q5_K", AffineFormat> = {
  Q4_1: {
    levels: 16,
    open(bytes, block, into) {
      const i = block * 20;
      into.d = HALF[bytes[i] | (bytes[i + 1] << 8)];
      into.m = HALF[bytes[i + 2] | (bytes[i + 3] << 8)];
      for (let j = 0; j < 16; j++) {
        const pair = bytes[i + 4 + j];
        into.q[j] = pair & 15;
        into.q[j + 16] = pair >> 4;
      }
    },
  },
  Q5_1: {
    levels: 32,
    open(bytes, block, into) {
      const i = block * 24;
      into.d = HALF[bytes[i] | (bytes[i + 1] << 8)];
      into.m = HALF[bytes[i + 2] | (bytes[i + 3] << 8)];
      const high = fifthBits(bytes, i + 4);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[i + 8 + j];
        into.q[j] = (pair & 15) | (((high >>> j) & 1) << 4);
        into.q[j + 16] = (pair >> 4) | (((high >>> (j + 16)) & 1) << 4);
      }
    },
  },
  Q4_K: {
    levels: 16,
    open(bytes, block, into) {
      const i = (block >> 3) * 144, sub = block & 7;
      into.d = HALF[bytes[i] | (bytes[i + 1] << 8)] * scale6(bytes, i + 4, sub);
      into.m = -HALF[bytes[i + 2] | (bytes[i + 3] << 8)] * minimum6(bytes, i + 4, sub);
      const from = i + 16 + (sub >> 1) * 32, shift = (sub & 1) * 4;
      for (let j = 0; j < 32; j++) into.q[j] = (bytes[from + j] >> shift) & 15;
    },
  },
  Q5_K: {
    levels: 32,
    open(bytes, block, into) {
      const i = (block >> 3) * 176, sub = block & 7;
      into.d = HALF[bytes[i] | (bytes[i + 1] << 8)] * scale6(bytes, i + 4, sub);
      into.m = -HALF[bytes[i + 2] | (bytes[i + 3] << 8)] * minimum6(bytes, i + 4, sub);
      const from = i + 48 + (sub >> 1) * 32, shift = (sub & 1) * 4;
      for (let j = 0; j < 32; j++) {
        into.q[j] = ((bytes[from + j] >> shift) & 15) | (((bytes[i + 16 + j] >> sub) & 1) << 4);
      }
    },
  },
};

/**
 * Requantises blocks of d · q + m. With the scale d / k (k whole) all steps between levels are exact and only the
 * offset m is rounded, to a multiple of d / k; the k that rounds it least is taken. Where the offset leaves 0…255, or
 * where fitting the values themselves errs less, `quantiseBlock` does the block instead.
 */
export function requantise(format: AffineFormat, bytes: Uint8Array, blocks: number, out: Blocks8): void {
  const opened: OpenBlock = { d: 0, m: 0, q: new Uint8Array(BLOCK) };
  const values = new Float32Array(BLOCK);
  const top = format.levels - 1, largestK = Math.floor(255 / top);
  for (let block = 0; block < blocks; block++) {
    format.open(bytes, block, opened);
    const { d, m, q } = opened;
    if (d === 0) {
      fillConstant(m, out, block);
      continue;
    }
    const ratio = m / d;
    const span = Math.max(top + ratio, 0) - Math.min(ratio, 0);
    let bestK = 0, bestOffset = 0, bestError = Infinity;
    for (let k = Math.min(largestK, Math.floor(256 / span)); k > 0; k--) {
      const offset = Math.round(ratio * k), error = Math.abs(ratio - offset / k);
      if (error < bestError && Math.max(k * top + offset, 0) - Math.min(offset, 0) <= 255) {
        bestK = k;
        bestOffset = offset;
        bestError = error;
      }
    }
    // A step of span / 255 errs by step² / 12 on average: only where the offset errs more can fitting the values win.
    const squareError = bestError * bestError;
    if (!(squareError <= span * span / (12 * 255 * 255))) {
      for (let j = 0; j < BLOCK; j++) values[j] = d * q[j] + m;
      quantiseBlock(values, 0, BLOCK, out, block);
      if (!(squareError * d * d * BLOCK < fittedError(values, out, block))) continue;
    }
    const zero = Math.max(-bestOffset, 0), base = zero + bestOffset, at = block * BLOCK;
    out.scales[block] = d / bestK;
    out.zeroPoints[block] = zero;
    for (let j = 0; j < BLOCK; j++) out.data[at + j] = bestK * q[j] + base;
  }
}

/** All values are m: one step of size m above the zero point. */
function fillConstant(m: number, out: Blocks8, block: number): void {
  out.scales[block] = m;
  out.zeroPoints[block] = 128;
  out.data.fill(129, block * BLOCK, (block + 1) * BLOCK);
}

function fittedError(values: Float32Array, out: Blocks8, block: number): number {
  const scale = out.scales[block], zero = out.zeroPoints[block];
  let sum = 0;
  for (let j = 0; j < BLOCK; j++) {
    const error = values[j] - scale * (out.data[block * BLOCK + j] - zero);
    sum += error * error;
  }
  return sum;
}
