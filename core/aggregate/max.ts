/**
 * Maximum over probe rows and heads of a group, then maximum over neighbouring slots. The wide radius keeps whole spans: a number's later digits get
 * no attention until they are written (`design.md` section 7: radius 10 answers 8 of 8 needles where the papers' 2 answers none).
 */
import type { Aggregate } from "../policy.ts";

/** Neighbours on each side. */
export const MAX_RADIUS = 10;

/** @param radius neighbours on each side. 0: no pooling. */
export const max = (radius = MAX_RADIUS): Aggregate => ({
  name: "max",
  rows: ["max"],
  score: (evidence) => (evidence.score ?? evidence.max!).map((row) => maxPool(row, radius)),
});

/** Sliding maximum in linear time: maxima of blocks from both sides (van Herk 1992). */
export function maxPool(row: Float32Array, radius: number): Float32Array {
  const n = row.length, width = 2 * radius + 1;
  if (radius === 0 || n === 0) return row;
  const padded = n + 2 * radius;
  const left = new Float32Array(padded), right = new Float32Array(padded), out = new Float32Array(n);
  for (let i = 0; i < padded; i++) {
    const value = i < radius || i >= n + radius ? -Infinity : row[i - radius]!;
    left[i] = i % width === 0 ? value : value > left[i - 1]! ? value : left[i - 1]!;
  }
  for (let i = padded - 1; i >= 0; i--) {
    const value = i < radius || i >= n + radius ? -Infinity : row[i - radius]!;
    const next = i + 1 < padded && (i + 1) % width !== 0 ? right[i + 1]! : -Infinity;
    right[i] = value > next ? value : next;
  }
  for (let i = 0; i < n; i++) out[i] = Math.max(right[i]!, left[i + 2 * radius]!);
  return out;
}
