/**
 * D2O's merging (arXiv 2406.13035): an evicted slot whose key is like enough to a kept one's is merged into it, key and value, and all others are
 * dropped. What is like enough follows the document: τ ← ½ τ + ½ mean of the evicted slots' best cosines, at first that mean.
 *   x_j ← (x_j + Σ cos_i x_i) / (1 + how many)  for keys and values
 * Measured worse than dropping when a chunk is evicted at once (`bench/compensate.ts`): it averages keys that stand at different positions, and cosines
 * below 1 shorten them.
 *
 * Differs: τ is every head's own; the paper's budgets by layer are an allocate variant's business. Protected slots do not receive.
 */
import type { Compensate } from "../policy.ts";
import { flowInto } from "./heads.ts";

/** @param momentum share of τ that the newest compaction sets */
export const d2o = (momentum = 0.5): Compensate => ({
  name: "d2o",
  // of a head's first slot, which always stays: τ
  attributes: ["threshold"],
  async apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    await flowInto(context, "cosine", 1, ({ head, keys, values, evicted, receivers }, { likeness, index }) => {
      let sum = 0;
      for (const cosine of likeness) sum += cosine;
      const remembered = cache.attribute("threshold", head), before = remembered[0]!, now = sum / evicted.length;
      const threshold = remembered[0] = before === 0 ? now : (1 - momentum) * before + momentum * now;
      const merged = new Int32Array(receivers.length);
      for (let i = 0; i < evicted.length; i++) if (likeness[i]! >= threshold) merged[index[i]!]!++;
      for (const rows of [keys, values]) {
        // divided first, so that sums need no memory of their own
        receivers.forEach((slot, j) => {
          if (merged[j] === 0) return;
          for (let at = slot * headDim; at < (slot + 1) * headDim; at++) rows[at]! /= 1 + merged[j]!;
        });
        for (let i = 0; i < evicted.length; i++) {
          if (likeness[i]! < threshold) continue;
          const j = index[i]!, share = likeness[i]! / (1 + merged[j]!);
          const from = evicted[i]! * headDim, to = receivers[j]! * headDim;
          for (let d = 0; d < headDim; d++) rows[to + d]! += share * rows[from + d]!;
        }
      }
    });
    return keep;
  },
});
