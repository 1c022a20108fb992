/**
 * LagKV: scores of `core/probe/lagkv.ts` from the ranks that `lag_rank` left. One dispatch for all layers; moves 8 bytes per live slot of every head.
 */
import { defineKernel } from "../kernel.ts";
import source from "./lagkv.wgsl" with { type: "text" };
import { lives, slotNumbers } from "../cases/live.ts";

export const lagkv = defineKernel({
  name: "lagkv",
  source,
  bindings: {
    /** The slot attribute `score`: 0, or 1 + rank / LAG, [heads, stride]. */
    scored: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** The one behind the last live slot, [heads]. */
    end: "read",
    /** [heads, stride]. */
    scores: "write",
  },
  params: { heads: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ scored, start, end, scores }, { heads, stride }) {
    for (let head = 0; head < heads; head++) {
      const from = start[head]!, live = end[head]! - from;
      for (let i = 0; i < live; i++) {
        const ranked = scored[head * stride + from + i]!;
        scores[head * stride + from + i] = ranked > 0 ? ranked - 1 : 1 + (i + 1) / live;
      }
    }
  },
  tolerance: { absolute: 2.4e-7, relative: 0, reason: "a quotient in single precision" },
  cases: () =>
    lives().map((live) => ({
      name: live.name,
      buffers: {
        scored: slotNumbers(live, 1).map((x) => x > 0 ? 1 + x / 2 : 0 * x),
        start: live.start,
        end: live.end,
        scores: slotNumbers(live, 1),
      },
      values: { heads: live.allHeads, stride: live.stride },
    })),
});
