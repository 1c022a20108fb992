/**
 * Value blending (kvpress's MergingPress, after Token Merging, arXiv 2210.09461, and D2O): every evicted value goes into the kept slot whose key points
 * most nearly the same way, weighted by that cosine and by its length beside the other's. Keys stay, so positions stay.
 *   w_i = max(0, cos) ‖v_i‖ / (‖v_i‖ + ‖v_j‖),  v_j ← (v_j + Σ w_i v_i) / (1 + Σ w_i)
 * Differs: protected slots do not receive.
 */
import type { Compensate } from "../policy.ts";
import { gather } from "./flow_weights.ts";
import { flowInto, norm } from "./heads.ts";

/** @param threshold least cosine for a merge */
export const merge = (threshold = 0): Compensate => ({
  name: "merge",
  async apply(context) {
    const { headDim } = context.cache.shape;
    await flowInto(context, "cosine", 1, ({ values, evicted, receivers }, top) => {
      const shares = new Float32Array(evicted.length);
      for (let i = 0; i < evicted.length; i++) {
        const cosine = top.likeness[i]!;
        if (cosine <= 0 || cosine < threshold) continue;
        const own = norm(values, evicted[i]! * headDim, headDim);
        const theirs = norm(values, receivers[top.index[i]!]! * headDim, headDim);
        shares[i] = cosine * own / (own + theirs + EPSILON);
      }
      const { received, flowed } = gather(top, shares, receivers.length, values, evicted, headDim);
      receivers.forEach((slot, j) => {
        if (received[j] === 0) return;
        const part = 1 / (1 + received[j]!);
        for (let at = slot * headDim, from = j * headDim, end = at + headDim; at < end; at++, from++) {
          values[at] = part * (values[at]! + flowed[from]!);
        }
      });
    });
    return context.keep;
  },
});

/** kvpress's, against lengths of zero. */
const EPSILON = 1e-6;
