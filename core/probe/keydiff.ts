/**
 * Keys unlike the others stay (KeyDiff, arXiv 2504.15364): score −cos(k, anchor), the anchor being the mean of a head's keys, each at length 1.
 * As in the paper, and unlike kvpress without its BlockPress, the anchor is that of what is live after each chunk.
 */
import type { Probe } from "../policy.ts";
import { rowNorms } from "./norms.ts";

export const keydiff = (): Probe => ({
  name: "keydiff",
  windowRows: 0,
  look: ({ cache }) => {
    const { headDim } = cache.shape;
    return Promise.resolve({ score: Array.from(cache.live, (_, head) => unlikeness(cache.keyRows(head), headDim)) });
  },
});

/** −cos of each row and the mean direction: [rows, width] → [rows]. */
export function unlikeness(rows: Float32Array, width: number): Float32Array {
  const scores = rowNorms(rows, width), anchor = new Float64Array(width);
  for (let row = 0, at = 0; row < scores.length; row++, at += width) {
    const scale = 1 / scores[row]!;
    for (let d = 0; d < width; d++) anchor[d]! += rows[at + d]! * scale;
  }
  const unit = 1 / Math.hypot(...anchor);
  for (let row = 0, at = 0; row < scores.length; row++, at += width) {
    let product = 0;
    for (let d = 0; d < width; d++) product += rows[at + d]! * anchor[d]!;
    scores[row] = -product * unit / scores[row]!;
  }
  return scores;
}
