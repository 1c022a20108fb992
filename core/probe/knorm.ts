/** Short keys stay: a key's length goes against the attention it gets ("A Simple and Effective L2 Norm-Based Strategy", arXiv 2406.11430). */
import type { Probe } from "../policy.ts";
import { rowNorms } from "./norms.ts";

/** Score: −‖k‖₂. Rotation keeps lengths, so positions do not matter. */
export const knorm = (): Probe => ({
  name: "knorm",
  windowRows: 0,
  look: ({ cache }) =>
    Promise.resolve({
      score: Array.from(cache.live, (_, head) => {
        const norms = rowNorms(cache.keyRows(head), cache.shape.headDim);
        for (let slot = 0; slot < norms.length; slot++) norms[slot] = -norms[slot]!;
        return norms;
      }),
    }),
});
