/**
 * Index scores: what a learned indexer thinks of every live slot (`core/probe/index_score.ts`). One dispatch per layer; moves 4 (DIM + 1) bytes per live slot
 * of every head, and the queries out of the device's cache; 2 pairs DIM operations a slot.
 */
import { ageTerm, meanIndexScore } from "../../core/probe/index_score.ts";
import { numbers } from "../cases/cases.ts";
import { lives, slotNumbers } from "../cases/live.ts";
import { defineKernel } from "../kernel.ts";
import source from "./index_scores.wgsl" with { type: "text" };

export const indexScores = defineKernel({
  name: "index_scores",
  source,
  bindings: {
    /** [pairs, DIM], and what each counts, [groups, pairs]. */
    queries: "read",
    counts: "read",
    /** The slot attribute `indexerKey`, [all heads, stride, DIM]. */
    keys: "read",
    /** First live slot, and the one behind the last, [all heads]. */
    start: "read",
    end: "read",
    /** RoPE index at which each key stands, [all heads, stride]. */
    position: "read",
    /** What age costs, [heads]. */
    ages: "read",
    /** [all heads, stride] */
    scores: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", pairs: "u32", groups: "u32", last: "i32" },
  constants: ["DIM"],
  threads: 64,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu(of, { heads, firstHead, stride, pairs, groups, last, DIM }) {
    const { queries, counts, keys, start, end, position, ages, scores } = of;
    for (let head = firstHead; head < firstHead + heads; head++) {
      const h = head - firstHead, group = h % groups;
      const from = head * stride + start[head]!, to = head * stride + end[head]!;
      // a mean over one query with as many index heads as there are pairs is the sum
      const mean = meanIndexScore(
        Float32Array.from(queries),
        Float32Array.from(counts.subarray(group * pairs, (group + 1) * pairs)),
        Float32Array.from(keys.subarray(from * DIM, to * DIM)),
        { heads: pairs, dim: DIM },
      );
      scores.set(mean.map((score, i) => score - ages[h]! * ageTerm(last - position[from + i]!)), from);
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
            counts: numbers(heads * pairs!, 4).map((count) => count / 8),
            keys: keys.map((key, i) => Number.isNaN(dead[Math.floor(i / DIM!)]!) ? NaN : key),
            start,
            end,
            position: Int32Array.from({ length: allHeads * stride }, (_, i) => i % stride * 3),
            ages: numbers(heads, 6),
            scores: slotNumbers(live, 5),
          },
          values: {
            heads,
            firstHead,
            stride,
            pairs: pairs!,
            groups: pairs === 37 ? 1 : heads,
            last: 3 * stride,
            DIM: DIM!,
          },
        };
      })
    ),
});
