/**
 * Index scores: what a learned indexer thinks of every live slot (`core/probe/index_score.ts`). One dispatch per layer; moves 4 (DIM + 1) bytes per live slot
 * of every head, and the queries out of the device's cache; 2 pairs DIM operations a slot.
 */
import { meanIndexScore } from "../../core/probe/index_score.ts";
import { numbers } from "../cases/cases.ts";
import { lives, slotNumbers } from "../cases/live.ts";
import { defineKernel } from "../kernel.ts";
import source from "./index_scores.wgsl" with { type: "text" };

export const indexScores = defineKernel({
  name: "index_scores",
  source,
  bindings: {
    /** [pairs, DIM], and what each counts, [pairs]. */
    queries: "read",
    counts: "read",
    /** The slot attribute `indexerKey`, [all heads, stride, DIM]. */
    keys: "read",
    /** First live slot, and the one behind the last, [all heads]. */
    start: "read",
    end: "read",
    /** [all heads, stride] */
    scores: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", pairs: "u32" },
  constants: ["DIM"],
  threads: 64,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ queries, counts, keys, start, end, scores }, { heads, firstHead, stride, pairs, DIM }) {
    for (let head = firstHead; head < firstHead + heads; head++) {
      const from = head * stride + start[head]!, to = head * stride + end[head]!;
      // a mean over one query with as many index heads as there are pairs is the sum
      const mean = meanIndexScore(
        Float32Array.from(queries),
        Float32Array.from(counts),
        Float32Array.from(keys.subarray(from * DIM, to * DIM)),
        { heads: pairs, dim: DIM },
      );
      scores.set(mean, from);
    }
  },
  tolerance: { absolute: 2e-4, relative: 2e-6, reason: "sums of products of at most 4 in single precision" },
  cases: () =>
    lives().flatMap((live) =>
      [[1, 4], [37, 3], [20, 64]].map(([pairs, DIM]) => {
        const { stride, allHeads, heads, firstHead, start, end } = live;
        const dead = slotNumbers(live, 1), keys = numbers(allHeads * stride * DIM!, 2);
        return {
          name: `${live.name}, ${pairs} queries of ${DIM} numbers`,
          buffers: {
            queries: numbers(pairs! * DIM!, 3),
            counts: numbers(pairs!, 4).map((count) => count / 8),
            keys: keys.map((key, i) => Number.isNaN(dead[Math.floor(i / DIM!)]!) ? NaN : key),
            start,
            end,
            scores: slotNumbers(live, 5),
          },
          values: { heads, firstHead, stride, pairs: pairs!, DIM: DIM! },
        };
      })
    ),
});
