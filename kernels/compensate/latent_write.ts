/**
 * Latent write: what heads lose goes into a memory whose size never changes (`core/compensate/latent_state.ts`, whose `latentUpdate` is the reference). One
 * dispatch per layer; moves 4 (D + R) bytes per evicted slot, its row again for each of the R rows out of the device's cache, and 8 R (D + 1) per head.
 */
import { latentUpdate } from "../../core/compensate/latent_state.ts";
import { numbers } from "../cases/cases.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { defineKernel } from "../kernel.ts";
import source from "./latent_write.wgsl" with { type: "text" };

export const latentWrite = defineKernel({
  name: "latent_write",
  source,
  bindings: {
    /** The layer's [heads, stride, WIDTH]. */
    values: "read",
    /** Of `split_slots`, [all heads, stride], [all heads]. */
    evicted: "read",
    evictedCount: "read",
    /** Of `latent_features`, [heads, stride, rank]. */
    features: "read",
    /** [all heads, rank, D], [all heads, rank] */
    sums: "write",
    norms: "write",
  },
  stored: ["values"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", rank: "u32", eta: "f32", decay: "f32" },
  constants: ["WIDTH", "D"],
  threads: 64,
  grid: ({ heads, rank }) => [rank, heads],
  cpu(of, { heads, firstHead, stride, rank, eta, decay, WIDTH, D }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, count = of.evictedCount[head]!;
      if (count === 0) continue;
      const added = { sums: new Float32Array(rank * D), norms: new Float32Array(rank) };
      for (let i = 0; i < count; i++) {
        const row = (h * stride + of.evicted[head * stride + i]!) * WIDTH;
        for (let r = 0; r < rank; r++) {
          const feature = of.features[(h * stride + i) * rank + r]!;
          added.norms[r]! += feature ** 2;
          for (let d = 0; d < D; d++) added.sums[r * D + d]! += feature * of.values[row + d]!;
        }
      }
      const sums = of.sums as Float32Array, norms = of.norms as Float32Array;
      latentUpdate(
        {
          sums: sums.subarray(head * rank * D, (head + 1) * rank * D),
          norms: norms.subarray(head * rank, (head + 1) * rank),
        },
        added,
        { phi: new Float32Array(0), gate: 0, write: eta, decay },
      );
    }
  },
  tolerance: { absolute: 1e-3, relative: 1e-5, reason: "up to 400 products of at most 4 summed in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      [[20, 28, 5], [64, 64, 7]].map(([D, WIDTH, rank]) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${D} of ${WIDTH} columns, rank ${rank}`,
          buffers: {
            values: numbers(heads * stride * WIDTH!, 3),
            evicted: of.evicted,
            evictedCount: of.evictedCount,
            features: numbers(heads * stride * rank!, 4),
            sums: numbers(allHeads * rank! * D!, 5),
            norms: numbers(allHeads * rank!, 6),
          },
          values: { heads, firstHead, stride, rank: rank!, eta: 0.375, decay: 0.75, WIDTH: WIDTH!, D: D! },
        };
      })
    ),
});
