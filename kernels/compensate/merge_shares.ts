/**
 * Merge shares: how much of every evicted value is blended into that of the receiver whose key points most nearly the same way. The counterpart of the
 * weights in `core/compensate/merge.ts`; `receive` with gamma = 1 and without MASS does the rest.
 *
 * Dispatches: 1 per layer. Bytes: rows × 28.
 */
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import source from "./merge_shares.wgsl" with { type: "text" };
import { assignments } from "./receive_chains.ts";
import { NONE } from "./top_similar.ts";

/** kvpress's, against lengths of zero. */
const EPSILON = 1e-6;

export const mergeShares = defineKernel({
  name: "merge_shares",
  source,
  bindings: {
    /** Places of receivers, NONE for nobody, [heads, stride]. */
    index: "read",
    /** Lengths of the layer's values [heads, stride] (`row_norms`). */
    norms: "read",
    /** Evicted slots [all heads, stride], how many [all heads]. */
    rows: "read",
    rowCount: "read",
    /** [all heads, stride]. */
    receivers: "read",
    /** Before: cosines; after: shares. [heads, stride] */
    likeness: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", threshold: "f32" },
  constants: [],
  threads: 64,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu(of, { heads, firstHead, stride, threshold }) {
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, run = head * stride;
      for (let row = 0; row < of.rowCount[firstHead + head]!; row++) {
        const receiver = of.index[run + row]!, cosine = of.likeness[run + row]!;
        of.likeness[run + row] = 0;
        if (receiver === NONE || cosine <= 0 || cosine < threshold) continue;
        const own = of.norms[run + of.rows[lists + row]!]!, theirs = of.norms[run + of.receivers[lists + receiver]!]!;
        of.likeness[run + row] = cosine * own / (own + theirs + EPSILON);
      }
    }
  },
  tolerance: { absolute: 0, relative: 1e-6, reason: "quotients in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      [0, 0.3, 1].map((threshold) => {
        const { allHeads, firstHead, stride, mass } = of, heads = allHeads - firstHead;
        const { index, likeness } = assignments(of, 1);
        return {
          name: `${of.name}, threshold ${threshold}`,
          buffers: {
            index,
            likeness: likeness.map((x) => 2 * x - 1),
            norms: mass.slice(0, heads * stride).map((x, i) => i % 9 === 0 ? 0 : x),
            rows: of.evicted,
            rowCount: of.evictedCount,
            receivers: of.receivers,
          },
          values: { heads, firstHead, stride, threshold },
        };
      })
    ),
});
