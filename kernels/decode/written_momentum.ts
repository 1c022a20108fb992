/**
 * Scores of written slots from what was attended to: `scoresOf` of `core/decode/observe.ts` where `share` is 1 (H2O), `scoresByLayer` where it is the number
 * of KV heads (TOVA, Moment-KV with a recent window or without). One dispatch per eviction for all layers; moves 8 bytes per written slot of every head.
 */
import { scoresByLayer } from "../../core/decode/observe.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./written_momentum.wgsl" with { type: "text" };
import { writings, writtenCache } from "../cases/written.ts";

export const writtenMomentum = defineKernel({
  name: "written_momentum",
  source,
  bindings: {
    /** The slot attribute `momentum`, [heads, stride]. */
    momentum: "read",
    /** The one behind the last live slot, [heads]; the written ones are the last. */
    end: "read",
    /** [heads, stride]; those of what was read stay as they are. */
    scores: "write",
  },
  /** The last `recent` written slots stand above all others; `share` neighbouring heads evict together. */
  params: { heads: "u32", stride: "u32", written: "u32", recent: "u32", share: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, written }, threads) => [Math.ceil(written / threads), heads],
  cpu({ momentum, end, scores }, { heads, stride, written, recent, share }) {
    const start = Uint32Array.from(end, (behind) => behind - written);
    const cache = writtenCache({ start, end, momentum }, { heads, stride, share });
    scoresByLayer({ cache, written, budget: 0 }, recent).forEach((row, head) =>
      scores.set(row, head * stride + start[head]!)
    );
  },
  tolerance: EXACT,
  cases: () =>
    writings().flatMap((
      { name, heads, kvHeads, stride, end, written },
    ) =>
      ([[1, 8], [kvHeads, 0], [kvHeads, 1000]] as const).map(([share, recent]) => {
        const momentum = numbers(heads * stride, 3);
        momentum.forEach((_, i) => i % 5 === 0 && (momentum[i] = [Infinity, -Infinity, 0, NaN][i / 5 % 4]!));
        return {
          name: `${name}, ${share} heads agree, ${recent} recent`,
          buffers: { momentum, end, scores: numbers(heads * stride, 2) },
          values: { heads, stride, written, recent, share },
        };
      })
    ),
});
