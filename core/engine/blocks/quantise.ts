/** Values that 8 bits cannot hold exactly: every block gets its own scale and zero point. */

export interface Blocks8 {
  data: Uint8Array;
  scales: Float32Array;
  zeroPoints: Uint8Array;
}

/**
 * Values in one block. 64 prefills 6 % quicker than 32 on ONNX Runtime's CPU (a scale is applied half as often); 32 where a row is no multiple of 64.
 */
export type BlockSize = 32 | 64;

const SMALLEST_SCALE = 2 ** -120;

/**
 * Quantises `count` ≤ `size` values from `values[from]` on into block `index`; the rest of the block holds the zero point,
 * hence 0. The scale is the smallest whose 256 levels, one of them 0, span the values without clipping. A value that is
 * not finite makes the scale NaN.
 */
export function quantiseBlock(
  values: Float32Array,
  from: number,
  count: number,
  out: Blocks8,
  index: number,
  size: BlockSize,
): void {
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
  const at = index * size, inverse = scale > 0 ? 1 / scale : 0, half = zero + 0.5;
  for (let j = 0; j < count; j++) out.data[at + j] = values[from + j] * inverse + half;
  for (let j = count; j < size; j++) out.data[at + j] = zero;
}

/** Smallest scale with which `zero` levels lie below 0 down to `least` and 255 - `zero` above it up to `most`. */
function spanningScale(least: number, most: number, zero: number): number {
  const below = least === 0 ? 0 : -least / zero;
  const above = most === 0 ? 0 : most / (255 - zero);
  return zero > 255 ? Infinity : Math.max(below, above);
}
