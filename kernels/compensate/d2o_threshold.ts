/**
 * D2O threshold: which evicted slots are like enough to their receiver to be merged. The counterpart of the threshold in `core/compensate/d2o.ts`, which
 * keeps it in the first slot of a head; here it has a buffer of its own, one number per head.
 *
 * Dispatches: 1 per layer. Bytes: rows × 12.
 */
import source from "./d2o_threshold.wgsl" with { type: "text" };
import { scattered } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { assignments } from "./receive_chains.ts";
import { NONE } from "./top_similar.ts";

export const d2oThreshold = defineKernel({
  name: "d2o_threshold",
  source,
  bindings: {
    /** Best cosines of evicted slots [heads, stride]. */
    likeness: "read",
    /** [all heads]. */
    rowCount: "read",
    receiverCount: "read",
    /** Remembered between compactions, 0 at first, f32 [all heads]; unchanged where nothing is merged. */
    threshold: "write",
    /** Places of receivers [heads, stride]; NONE where the cosine is below the threshold. */
    index: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", momentum: "f32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ likeness, rowCount, receiverCount, threshold, index }, { heads, firstHead, stride, momentum }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, total = rowCount[head]!;
      if (total === 0 || receiverCount[head] === 0) continue;
      let sum = 0;
      for (let i = 0; i < total; i++) sum += likeness[h * stride + i]!;
      const before = threshold[head]!, now = sum / total;
      const tau = threshold[head] = before === 0 ? now : (1 - momentum) * before + momentum * now;
      for (let i = 0; i < total; i++) if (likeness[h * stride + i]! < tau) index[h * stride + i] = NONE;
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "a sum in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      [0, 0.25].map((before) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${before} before`,
          buffers: {
            index: assignments(of, 1).index,
            // alike to no two digits: nothing lies at the threshold itself but a head's only slot
            likeness: scattered(heads * stride, 21),
            rowCount: of.evictedCount,
            receiverCount: of.receiverCount,
            threshold: new Float32Array(allHeads).fill(before),
          },
          values: { heads, firstHead, stride, momentum: 0.5 },
        };
      })
    ),
});
