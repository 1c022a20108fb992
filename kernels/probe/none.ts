/** None: a slot's place alone decides, as in `core/probe/none.ts`. One dispatch for all layers; moves 4 bytes per live slot of every head. */
import { defineKernel, EXACT } from "../kernel.ts";
import { lives, slotNumbers } from "../cases/live.ts";
import source from "./none.wgsl" with { type: "text" };

export const none = defineKernel({
  name: "none",
  source,
  bindings: {
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
  cpu({ start, end, scores }, { heads, stride }) {
    for (let head = 0; head < heads; head++) {
      for (let slot = start[head]!; slot < end[head]!; slot++) scores[head * stride + slot] = slot - start[head]!;
    }
  },
  tolerance: EXACT,
  cases: () =>
    lives().map((live) => ({
      name: live.name,
      buffers: { start: live.start, end: live.end, scores: slotNumbers(live, 1) },
      values: { heads: live.allHeads, stride: live.stride },
    })),
});
