/**
 * Longest rows: the length of the longest value that every head of a layer loses. The counterpart of `longest` in `core/compensate/heads.ts`.
 *
 * Dispatches: 1 per layer, after `row_norms`. Bytes: rows × 8.
 */
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./longest_rows.wgsl" with { type: "text" };
import { losingHeads } from "../cases/losing_heads.ts";

export const longestRows = defineKernel({
  name: "longest_rows",
  source,
  bindings: {
    /** [heads, stride] */
    norms: "read",
    /** Slots [all heads, stride], how many [all heads]. */
    rows: "read",
    rowCount: "read",
    /** [heads] */
    longest: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ norms, rows, rowCount, longest }, { heads, firstHead, stride }) {
    for (let h = 0; h < heads; h++) {
      const from = (firstHead + h) * stride;
      const own = Array.from({ length: rowCount[firstHead + h]! }, (_, i) => norms[h * stride + rows[from + i]!]!);
      longest[h] = Math.max(0, ...own);
    }
  },
  tolerance: EXACT,
  cases: () =>
    losingHeads().map((of) => {
      const heads = of.allHeads - of.firstHead;
      return {
        name: of.name,
        buffers: {
          norms: of.mass.slice(0, heads * of.stride),
          rows: of.evicted,
          rowCount: of.evictedCount,
          longest: new Float32Array(heads).fill(99),
        },
        values: { heads, firstHead: of.firstHead, stride: of.stride },
      };
    }),
});
