/**
 * Attention flow that keeps the mass: evicted values are blended into the kept slots whose keys are most like theirs (Meta-Soft, arXiv 2605.22337,
 * equations 7 to 12), by the attention that both had, and every receiver's logits rise by what it received, so that attention over what is left weighs
 * the document as before. Keys stay, so positions stay.
 *
 * With F the balanced assignment and a the attention mass:
 *   f_ij = F_ij min(a_i, a_j),  v_j ← (a_j v_j + Σ f_ij v_i) / (a_j + Σ f_ij),  bias_j ← bias_j + log(1 + Σ f_ij / a_j)
 * The mass already counts the bias, so compactions add up.
 *
 * Only a quarter of the evicted slots flows, those of all heads with the most mass: the search for their like is what flow costs, and the others' flow
 * is worth hardly anything. KL to the full cache at 25 and 12.5 % of 1,024 tokens, 20 stretches: .037 .072; with a quarter of every head's slots, however
 * little mass they have, .040 .082; dropping .044 .100.
 *
 * Differs: the paper's gate (equation 13) is not published, mass and bias are ours; likeness is the cosine, m is not published; protected slots do not
 * receive. Measured against dropping with `bench/compensate.ts`, which also shows the other forms.
 */
import type { Compensate } from "../policy.ts";
import { FLOW_DEFAULTS, type FlowOptions, flowWeights, gather } from "./flow_weights.ts";
import { flowInto, heaviestEvicted, massOf } from "./heads.ts";

export const flow = (options: FlowOptions = {}): Compensate => ({
  name: "flow",
  needs: { logBias: true },
  attributes: ["logBias"],
  async apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    const { m, likeness, temperature, share } = { ...FLOW_DEFAULTS, ...options };
    await flowInto(context, likeness, m, ({ head, values, evicted, receivers }, top) => {
      const mass = massOf(context, head), bias = cache.attribute("logBias", head);
      const shares = flowWeights(top, receivers.length, temperature);
      for (let i = 0, k = 0; i < evicted.length; i++) {
        const own = mass[evicted[i]!]!;
        // no more than the receiver has: its key would speak for what it hardly resembles
        for (const end = k + top.m; k < end; k++) shares[k]! *= Math.min(own, mass[receivers[top.index[k]!]!]!);
      }
      const { received, flowed } = gather(top, shares, receivers.length, values, evicted, headDim);
      receivers.forEach((slot, j) => {
        if (received[j] === 0) return;
        const own = mass[slot]!, all = own + received[j]!, stays = own / all, perMass = 1 / all;
        for (let at = slot * headDim, from = j * headDim, end = at + headDim; at < end; at++, from++) {
          values[at] = stays * values[at]! + perMass * flowed[from]!;
        }
        bias[slot]! += Math.log(all / own);
      });
    }, heaviestEvicted(context, share));
    return keep;
  },
});
