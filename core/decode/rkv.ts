/**
 * What the last tokens attend to and what says nothing new are weighed against each other: λ · attention − (1 − λ) · redundancy (R-KV, arXiv 2505.24133,
 * after its published code). Attention: the mean over the last 8 tokens, brought to mass 1 over the candidates, the maximum of 7 neighbours. Redundancy:
 * softmax of a key's mean cosine with all written keys, where every key's newest duplicate (cosine above 0.5) is not held against that duplicate.
 * The last 8 stay. Differences: the prompt is left alone (R-KV compresses it as well), and a group's heads are averaged after the softmax, where the
 * code takes the maximum of their logits.
 */
import type { DecodePolicy } from "../policy.ts";
import { accumulate, newest } from "./observe.ts";

export const LAMBDA = 0.07;
const WINDOW = 8, RADIUS = 3, DUPLICATE = 0.5;

/** @param lambda weight of attention, 0 to 1; the paper's code has 0.07 */
export const rkv = (lambda = LAMBDA): DecodePolicy => ({
  name: "rkv",
  evicts: true,
  attributes: ["momentum"],
  observes: WINDOW,
  observe: (context, mass) => accumulate(context, mass, 1),
  score({ cache, written }) {
    const { headDim } = cache.shape, candidates = Math.max(0, written - WINDOW);
    return Array.from({ length: cache.heads }, (_, head) => {
      const attention = newest(cache, head, written);
      let total = 0;
      for (let slot = 0; slot < candidates; slot++) total += attention[slot]!;
      const keys = cache.keyRows(head).subarray((cache.live[head]! - written) * headDim);
      const scores = redundancy(keys, headDim);
      for (let slot = 0; slot < candidates; slot++) {
        let most = 0;
        for (let near = Math.max(0, slot - RADIUS); near <= slot + RADIUS && near < candidates; near++) {
          most = Math.max(most, attention[near]!);
        }
        scores[slot] = lambda * most / (total || 1) - (1 - lambda) * scores[slot]!;
      }
      scores.fill(Infinity, candidates);
      attention.fill(0); // the next window begins anew
      return scores;
    });
  },
});

/**
 * Softmax over keys j of mean_i C_ij; C is the cosine of keys i and j, 0 for i = j and for the last j that is a duplicate of i. Linear but for the search
 * for duplicates, which mostly ends at once: neighbouring keys are alike.
 * @param rows [n, headDim] @returns [n], sums to 1
 */
export function redundancy(rows: Float32Array, headDim: number): Float32Array {
  const n = rows.length / headDim, unit = new Float32Array(rows.length), sum = new Float64Array(headDim);
  for (let row = 0; row < rows.length; row += headDim) {
    let square = 0;
    for (let d = row; d < row + headDim; d++) square += rows[d]! * rows[d]!;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let d = 0; d < headDim; d++) sum[d]! += unit[row + d] = rows[row + d]! * scale;
  }
  const mean = new Float32Array(n);
  for (let j = 0; j < n; j++) {
    for (let d = 0, at = j * headDim; d < headDim; d++, at++) mean[j]! += unit[at]! * (sum[d]! - unit[at]!);
  }
  for (let i = 0; i < n; i++) {
    for (let j = n - 1; j >= 0; j--) {
      if (j === i) continue;
      let cosine = 0;
      for (let d = 0, a = i * headDim, b = j * headDim; d < headDim; d++, a++, b++) cosine += unit[a]! * unit[b]!;
      if (cosine <= DUPLICATE) continue;
      mean[j]! -= cosine;
      break;
    }
  }
  let most = -Infinity, total = 0;
  for (let j = 0; j < n; j++) most = Math.max(most, mean[j]! /= n);
  for (let j = 0; j < n; j++) total += mean[j] = Math.exp(mean[j]! - most);
  for (let j = 0; j < n; j++) mean[j]! /= total;
  return mean;
}
