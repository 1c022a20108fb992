/**
 * Attention flow that keeps the mass: evicted values are blended into the kept slots whose keys are most like theirs (Meta-Soft, arXiv 2605.22337,
 * equations 7 to 12), by the attention that both had, and every receiver's logits rise by what it received, so that attention over what is left weighs
 * the document as before. Keys stay. The paper's gate (equation 13) is not published; the bias is ours.
 *
 * With F the balanced assignment and a the probe's attention mass:
 *   v_j ← (a_j v_j + Σ F_ij a_i v_i) / (a_j + Σ F_ij a_i),  bias_j ← bias_j + log(1 + Σ F_ij a_i / a_j)
 * The mass already counts the bias, so compactions add up.
 */
import type { Compensate } from "../policy.ts";
import { flowWeights, gather } from "./flow_weights.ts";
import { flowInto, massOf } from "./heads.ts";

/**
 * @param m kept slots that share an evicted one
 * @param most largest factor by which one compaction raises a slot's mass: beyond, its key would speak for what it hardly resembles
 * @param sinks whether attention sinks receive
 */
export const flow = ({ m = 4, most = Infinity, sinks = false } = {}): Compensate => ({
  name: "flow",
  needs: { logBias: true },
  attributes: ["logBias"],
  async apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    await flowInto(context, "product", m, sinks, ({ head, values, evicted, receivers }, top) => {
      const mass = massOf(context, head), bias = cache.attribute("logBias", head);
      const shares = flowWeights(top, receivers.length);
      for (let i = 0, k = 0; i < evicted.length; i++) {
        for (const end = k + top.m; k < end; k++) shares[k]! *= mass[evicted[i]!]!;
      }
      const received = new Float32Array(receivers.length), flowed = new Float32Array(receivers.length * headDim);
      gather(top, shares, values, evicted, headDim, received, flowed);
      receivers.forEach((slot, j) => {
        if (received[j] === 0) return;
        const own = mass[slot]!, all = own + received[j]!;
        for (let d = 0, at = slot * headDim; d < headDim; d++, at++) {
          values[at] = (own * values[at]! + flowed[j * headDim + d]!) / all;
        }
        bias[slot]! += Math.log(Math.min(most, all / own));
      });
    });
    return keep;
  },
});
