/**
 * Attention flow with an additive gate: v_j ← v_j + gate · Σ F_ij v_i, F the balanced assignment (Meta-Soft, arXiv 2605.22337, equations 7 to 13; the
 * gate is not published, a constant is the plainest reading). A sum would grow with every compaction, so a value never becomes longer than the longest
 * of those that it is made of. Measured worse than dropping: `flow` is the form to use.
 */
import type { Compensate } from "../policy.ts";
import { FLOW_DEFAULTS, type FlowOptions, flowWeights, gather } from "./flow_weights.ts";
import { addBounded, flowInto, longest } from "./heads.ts";

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
      const limit = bounded ? longest(values, evicted, headDim) : Infinity;
      receivers.forEach((slot, j) => {
        if (received[j] !== 0) addBounded(values, slot * headDim, flowed, j * headDim, gate, headDim, limit);
      });
    });
    return keep;
  },
});
