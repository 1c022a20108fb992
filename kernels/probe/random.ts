/**
 * Random: chance as a probe, the numbers of `core/probe/random.ts`. One dispatch for all layers; moves 8 bytes per live slot of every head.
 */
import { chance } from "../../core/probe/random.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import { lives, slotNumbers, slotTokens } from "../cases/live.ts";
import source from "./random.wgsl" with { type: "text" };

export const random = defineKernel({
  name: "random",
  source,
  bindings: {
    /** Token of each slot, [heads, stride]. */
    source: "read",
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
  cpu({ source, start, end, scores }, { heads, stride }) {
    for (let head = 0; head < heads; head++) {
      for (let at = head * stride + start[head]!; at < head * stride + end[head]!; at++) {
        scores[at] = chance(head, source[at]!);
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    lives().map((live) => ({
      name: live.name,
      buffers: {
        // a slot that stands for several tokens has the token -1
        source: slotTokens(live).map((token) => token === 0 ? -1 : 997 * token),
        start: live.start,
        end: live.end,
        scores: slotNumbers(live, 1),
      },
      values: { heads: live.allHeads, stride: live.stride },
    })),
});
