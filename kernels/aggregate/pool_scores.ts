/**
 * Pooling over neighbouring slots: the largest or the average of a slot's neighbours on each side. The counterpart of `maxPool` in
 * `core/aggregate/max.ts` (aggregates `max`, `mean-maxpool`) and of `averagePool` in `core/aggregate/mean.ts` (`mean`), its references; radius 0, which
 * `mean-unpooled` and `none` would need, is no launch at all.
 *
 * One dispatch for all heads of all layers. Bytes: B = 8 · live slots of all heads.
 */
import { maxPool } from "../../core/aggregate/max.ts";
import { averagePool } from "../../core/aggregate/mean.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./pool_scores.wgsl" with { type: "text" };
import { runs } from "../cases/slot_cases.ts";

export const poolScores = defineKernel({
  name: "pool_scores",
  source,
  bindings: {
    /** [all heads, stride]. */
    scores: "read",
    /** Live slots are start..end, [all heads]. */
    start: "read",
    end: "read",
    /** [all heads, stride]; other slots than the live ones stay as they are. */
    pooled: "write",
  },
  params: { heads: "u32", stride: "u32" },
  /** Neighbours on each side; whether the largest counts (1) or the average (0). */
  constants: ["RADIUS", "LARGEST"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ scores, start, end, pooled }, { heads, stride, RADIUS, LARGEST }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!,
        row = Float32Array.from(scores.subarray(from, head * stride + end[head]!));
      pooled.set(LARGEST ? maxPool(row, RADIUS) : averagePool(row, 2 * RADIUS + 1), from);
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "the average is summed in single precision" },
  cases: () =>
    [[10, 1], [3, 1], [2, 0], [300, 1]].flatMap(([radius, largest]) =>
      runs().map(({ name, stride, start, end }) => {
        const heads = start.length, scores = numbers(heads * stride, 21);
        if (largest) { for (let i = 0; i < scores.length; i += 41) scores[i] = i % 2 ? Infinity : -Infinity; }
        if (name === "all equal") scores.fill(0.25);
        return {
          name: `${name}, ${largest ? "largest" : "average"} of ${radius} on each side`,
          buffers: { scores, start, end, pooled: new Float32Array(heads * stride).fill(-7) },
          values: { heads, stride, RADIUS: radius!, LARGEST: largest! },
        };
      })
    ),
});
