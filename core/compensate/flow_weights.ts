/**
 * Who receives how much: the assignment of Meta-Soft's attention flow (arXiv 2605.22337, equations 7 to 11). Every evicted slot goes to its most
 * similar kept ones; those that many choose are made less attractive, so that none becomes a sink for everything.
 */
import type { Likeness, TopSimilar } from "../dense/top_similar.ts";

/** How evicted slots choose who receives them. */
export interface FlowOptions {
  /** Kept slots that share an evicted one. */
  m?: number;
  /** What is similar: the cosine between keys, or (the paper's) their product over √d, by which long keys are like everything. */
  likeness?: Likeness;
  /** Of the softmax over likeness. */
  temperature?: number;
  /** Share of all heads' evicted slots that flow, those with the most mass; the others are dropped. */
  share?: number;
}

export const FLOW_DEFAULTS: Required<FlowOptions> = { m: 4, likeness: "cosine", temperature: 0.1, share: 0.25 };

/** Assignment as the paper has it. */
export const PAPER_FLOW: Partial<FlowOptions> = { likeness: "product", temperature: 1 };

/**
 * Softmax over each row's likeness, divided by the columns' sums (the load), rows normalised again.
 * @param receivers how many slots there are to receive
 * @returns [evicted, m]: shares of an evicted slot that go to `index`; each row sums to 1
 */
export function flowWeights(
  { likeness, index, m }: TopSimilar,
  receivers: number,
  temperature: number,
  epsilon = 1e-6,
): Float32Array {
  const weights = new Float32Array(likeness.length), load = new Float64Array(receivers);
  for (let row = 0; row < likeness.length; row += m) {
    const top = likeness[row]!; // the first is the largest
    let sum = 0;
    for (let i = row; i < row + m; i++) sum += weights[i] = Math.exp((likeness[i]! - top) / temperature);
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
 * What each receiver gets.
 * @param shares [evicted, m] what of evicted slot i goes to receiver `index`; need not sum to 1
 * @param values [live, headDim]
 * @returns sums of the shares [receivers] and of the shared values [receivers, headDim]; the latter are lent until the next call
 */
export function gather(
  { index, m }: TopSimilar,
  shares: Float32Array,
  receivers: number,
  values: Float32Array,
  evicted: Int32Array,
  headDim: number,
): { received: Float32Array; flowed: Float32Array } {
  const size = receivers * headDim;
  if (sums.length < size) sums = new Float32Array(size);
  const received = new Float32Array(receivers), flowed = sums.subarray(0, size).fill(0);
  for (let i = 0; i < evicted.length; i++) {
    const from = evicted[i]! * headDim;
    for (let k = i * m; k < (i + 1) * m; k++) {
      const receiver = index[k]!, share = shares[k]!, to = receiver * headDim;
      if (share === 0) continue;
      received[receiver]! += share;
      for (let d = 0; d < headDim; d++) flowed[to + d]! += share * values[from + d]!;
    }
  }
  return { received, flowed };
}

/** Heads come one after the other, so one memory does for all. */
let sums = new Float32Array(0);
