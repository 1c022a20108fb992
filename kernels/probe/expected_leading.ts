/**
 * Expected leading: the sinks, which are left out of the expected softmax, get the highest score of their head, as in `core/probe/expected.ts`. One
 * dispatch for all layers, after the last `expected_score`; moves 4 bytes per live slot of every head.
 */
import { behindLeading } from "./expected_logits.ts";
import source from "./expected_leading.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";
import { lives, slotNumbers, slotTokens } from "../cases/live.ts";

export const expectedLeading = defineKernel({
  name: "expected_leading",
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
  params: { heads: "u32", stride: "u32", sinks: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ source, start, end, scores }, { heads, stride, sinks }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!, to = head * stride + end[head]!;
      const leading = behindLeading(source, from, to, sinks);
      let most = 0;
      for (let at = leading; at < to; at++) most = Math.max(most, scores[at]!);
      scores.fill(most, from, leading);
    }
  },
  tolerance: EXACT,
  cases: () =>
    lives().flatMap((live) =>
      ([["sinks in front", 4, 0], ["no sinks", 0, 0], ["nothing but sinks", 1e6, 0], [
        "a slot that stands for several in front",
        4,
        -1,
      ]] as const).map(([what, sinks, shift]) => ({
        name: `${live.name}, ${what}`,
        buffers: {
          source: slotTokens(live).map((token) => token + shift),
          start: live.start,
          end: live.end,
          scores: slotNumbers(live, 1).map(Math.abs),
        },
        values: { heads: live.allHeads, stride: live.stride, sinks },
      }))
    ),
});
