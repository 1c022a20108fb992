/**
 * Attention flow with an additive gate: v_j ← v_j + gate · Σ F_ij v_i, F the balanced assignment (Meta-Soft, arXiv 2605.22337, equations 7 to 13; the
 * gate is not published, a constant is our reading). A sum would grow with every compaction, so a value never becomes longer than the longest of those
 * that it is made of.
 */
import type { Compensate } from "../policy.ts";
import { flowWeights, gather } from "./flow_weights.ts";
import { flowInto } from "./heads.ts";

/**
 * @param m kept slots that share an evicted one
 * @param sinks whether attention sinks receive
 * @param bounded false: values may grow
 */
export const flowAdd = ({ m = 4, gate = 0.1, sinks = false, bounded = true } = {}): Compensate => ({
  name: "flow-add",
  async apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    await flowInto(context, "product", m, sinks, ({ values, evicted, receivers }, top) => {
      const received = new Float32Array(receivers.length), flowed = new Float32Array(receivers.length * headDim);
      gather(top, flowWeights(top, receivers.length), values, evicted, headDim, received, flowed);
      let longest = 0;
      if (bounded) {
        for (const slot of evicted) longest = Math.max(longest, squaredNorm(values, slot * headDim, headDim));
      }
      receivers.forEach((slot, j) => {
        if (received[j] === 0) return;
        const at = slot * headDim, limit = Math.max(longest, squaredNorm(values, at, headDim));
        for (let d = 0; d < headDim; d++) values[at + d]! += gate * flowed[j * headDim + d]!;
        const now = bounded ? squaredNorm(values, at, headDim) : 0;
        if (now <= limit) return;
        const scale = Math.sqrt(limit / now);
        for (let d = 0; d < headDim; d++) values[at + d]! *= scale;
      });
    });
    return keep;
  },
});

function squaredNorm(rows: Float32Array, at: number, headDim: number): number {
  let sum = 0;
  for (let d = 0; d < headDim; d++) sum += rows[at + d]! ** 2;
  return sum;
}
