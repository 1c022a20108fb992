/**
 * Attention flow with an additive gate: v_j ← v_j + gate · Σ F_ij v_i, F the balanced assignment (Meta-Soft, arXiv 2605.22337, equations 7 to 13; the
 * gate is not published, a constant is the plainest reading). A sum would grow with every compaction, so a value never becomes longer than the longest
 * of those that it is made of. Measured worse than dropping: `flow` is the form to use.
 */
import type { Compensate } from "../policy.ts";
import { FLOW_DEFAULTS, type FlowOptions, flowWeights, gather } from "./flow_weights.ts";
import { flowInto, norm } from "./heads.ts";

interface AddOptions extends FlowOptions {
  /** Part of what flows that is added. */
  gate?: number;
  /** False: values may grow. */
  bounded?: boolean;
}

export const flowAdd = ({ gate = 0.1, bounded = true, ...options }: AddOptions = {}): Compensate => ({
  name: "flow-add",
  async apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    const { m, likeness, temperature } = { ...FLOW_DEFAULTS, ...options };
    await flowInto(context, likeness, m, ({ values, evicted, receivers }, top) => {
      const shares = flowWeights(top, receivers.length, temperature);
      const { received, flowed } = gather(top, shares, receivers.length, values, evicted, headDim);
      let longest = 0;
      for (const slot of evicted) longest = Math.max(longest, norm(values, slot * headDim, headDim));
      receivers.forEach((slot, j) => {
        if (received[j] === 0) return;
        const at = slot * headDim, limit = Math.max(longest, norm(values, at, headDim));
        for (let d = 0; d < headDim; d++) values[at + d]! += gate * flowed[j * headDim + d]!;
        const now = norm(values, at, headDim);
        if (!bounded || now <= limit) return;
        for (let d = 0; d < headDim; d++) values[at + d]! *= limit / now;
      });
    });
    return keep;
  },
});
