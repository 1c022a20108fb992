/**
 * Who receives how much: the assignment of Meta-Soft's attention flow (arXiv 2605.22337, equations 7 to 11). Every evicted slot goes to its most
 * similar kept ones; those that many choose are made less attractive, so that none becomes a sink for everything.
 */
import type { TopSimilar } from "../dense/top_similar.ts";

/**
 * Softmax over each row's likeness, divided by the columns' sums (the load), rows normalised again.
 * @param receivers how many slots there are to receive
 * @returns [evicted, m]: shares of an evicted slot that go to `index`; each row sums to 1
 */
export function flowWeights({ likeness, index, m }: TopSimilar, receivers: number, epsilon = 1e-6): Float32Array {
  const weights = new Float32Array(likeness.length), load = new Float64Array(receivers);
  for (let row = 0; row < likeness.length; row += m) {
    const top = likeness[row]!; // the first is the largest
    let sum = 0;
    for (let i = row; i < row + m; i++) sum += weights[i] = Math.exp(likeness[i]! - top);
    for (let i = row; i < row + m; i++) load[index[i]!]! += weights[i]! /= sum;
  }
  for (let row = 0; row < likeness.length; row += m) {
    let sum = 0;
    for (let i = row; i < row + m; i++) sum += weights[i]! /= load[index[i]!]! + epsilon;
    for (let i = row; i < row + m; i++) weights[i]! /= sum;
  }
  return weights;
}

/**
 * Adds to each receiver its shares of the evicted values.
 * @param shares [evicted, m] what of evicted slot i goes to receiver `index`; need not sum to 1
 * @param total receives the sum of the shares of each receiver [receivers]
 * @param flow receives the sum of the shared values [receivers, headDim]
 */
export function gather(
  { index, m }: TopSimilar,
  shares: Float32Array,
  values: Float32Array,
  evicted: Int32Array,
  headDim: number,
  total: Float32Array,
  flow: Float32Array,
): void {
  for (let i = 0; i < evicted.length; i++) {
    const from = evicted[i]! * headDim;
    for (let k = i * m; k < (i + 1) * m; k++) {
      const receiver = index[k]!, share = shares[k]!, to = receiver * headDim;
      total[receiver]! += share;
      for (let d = 0; d < headDim; d++) flow[to + d]! += share * values[from + d]!;
    }
  }
}
