/**
 * Query moments: sums of a chunk's queries before rotation and of their outer products, for ExpectedAttention (arXiv 2510.00636); what `queryMoments` of
 * `core/engine/row_facts.ts` puts into the CPU's graph. One dispatch per layer; moves, with n = behind - first rows, 8 n heads headDim ⌈headDim / 64⌉
 * bytes of queries and 4 heads headDim (headDim + 1) written; 2 n heads headDim² operations.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./query_moments.wgsl" with { type: "text" };

export const queryMoments = defineKernel({
  name: "query_moments",
  source,
  bindings: {
    /** Before rotation: row s begins at number s * rowStep, head h of it at h * WIDTH. */
    queries: "read",
    /** [heads, HEAD_DIM]. */
    sum: "write",
    /** [heads, HEAD_DIM, HEAD_DIM]. */
    outer: "write",
  },
  /** `heads` are query heads; rows `first` to `behind`, the last one excluded, are summed up. */
  params: { heads: "u32", first: "u32", behind: "u32", rowStep: "u32" },
  constants: ["WIDTH", "HEAD_DIM"],
  threads: 256,
  grid: ({ heads, HEAD_DIM }, threads) => [Math.ceil(HEAD_DIM / (threads / 4)), Math.ceil(HEAD_DIM / 64), heads],
  cpu({ queries, sum, outer }, { heads, first, behind, rowStep, WIDTH, HEAD_DIM }) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < HEAD_DIM; i++) {
        let total = 0;
        for (let row = first; row < behind; row++) total += queries[row * rowStep + head * WIDTH + i]!;
        sum[head * HEAD_DIM + i] = total;
        for (let j = 0; j < HEAD_DIM; j++) {
          let products = 0;
          for (let row = first, at = row * rowStep + head * WIDTH; row < behind; row++, at += rowStep) {
            products += queries[at + i]! * queries[at + j]!;
          }
          outer[(head * HEAD_DIM + i) * HEAD_DIM + j] = products;
        }
      }
    }
  },
  tolerance: { absolute: 1e-3, relative: 1e-6, reason: "up to 130 products of at most 4 summed in single precision" },
  cases: () =>
    ([
      ["one row", 3, 44, 36, 0, 1],
      ["no row", 3, 44, 36, 5, 5],
      ["a wide head's own columns", 3, 44, 36, 3, 77],
      ["two tiles a side, one of them short", 2, 100, 100, 0, 33],
      ["many rows", 1, 44, 36, 1, 130],
    ] as const).map(([name, heads, WIDTH, HEAD_DIM, first, behind]) => {
      const rowStep = heads * WIDTH + 3, queries = numbers(behind * rowStep, 3);
      // what is not a row's, or stands before the first one, must not be looked at
      queries.forEach((_, i) => {
        const column = i % rowStep;
        const own = i >= first * rowStep && column < heads * WIDTH && column % WIDTH < HEAD_DIM;
        if (!own) queries[i] = NaN;
      });
      return {
        name,
        buffers: {
          queries,
          sum: new Float32Array(heads * HEAD_DIM).fill(7),
          outer: new Float32Array(heads * HEAD_DIM ** 2).fill(7),
        },
        values: { heads, first, behind, rowStep, WIDTH, HEAD_DIM },
      };
    }),
});
