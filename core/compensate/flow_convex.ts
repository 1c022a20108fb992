/**
 * Attention flow with a convex gate: v_j ← (v_j + γ Σ F_ij r_ij v_i) / (1 + γ Σ F_ij r_ij), r_ij = min(1, a_i / a_j), F the balanced assignment and a the
 * attention mass: an evicted slot that had little attention beside its receiver changes it little (Meta-Soft, arXiv 2605.22337, equations 7 to 13; the
 * gate is our reading of the paper's wish to avoid destructive overwrite). Needs nothing of the graph; the mass of what was evicted is lost.
 */
import type { Compensate } from "../policy.ts";
import { FLOW_DEFAULTS, type FlowOptions, flowWeights, gather } from "./flow_weights.ts";
import { flowInto, massOf } from "./heads.ts";

interface ConvexOptions extends FlowOptions {
  /** Weight of what is received beside what a slot holds. */
  gamma?: number;
}

export const flowConvex = ({ gamma = 0.5, ...options }: ConvexOptions = {}): Compensate => ({
  name: "flow-convex",
  async apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    const { m, likeness, temperature } = { ...FLOW_DEFAULTS, ...options };
    await flowInto(context, likeness, m, ({ head, values, evicted, receivers }, top) => {
      const mass = massOf(context, head), shares = flowWeights(top, receivers.length, temperature);
      for (let i = 0, k = 0; i < evicted.length; i++) {
        const own = mass[evicted[i]!]!;
        for (const end = k + top.m; k < end; k++) {
          const theirs = mass[receivers[top.index[k]!]!]!;
          if (own < theirs) shares[k]! *= own / theirs;
        }
      }
      const { received, flowed } = gather(top, shares, receivers.length, values, evicted, headDim);
      receivers.forEach((slot, j) => {
        const all = 1 + gamma * received[j]!;
        for (let d = 0, at = slot * headDim; d < headDim; d++, at++) {
          values[at] = (values[at]! + gamma * flowed[j * headDim + d]!) / all;
        }
      });
    });
    return keep;
  },
});
