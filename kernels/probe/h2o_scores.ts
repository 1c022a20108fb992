/**
 * H2O's scores: every row of every chunk adds its attention to the slots that it sees, and the sum is divided by the queries that could see the slot. The
 * counterpart of `h2o` in `core/probe/h2o.ts`; the mass is `attention_mass` of all rows of a chunk.
 *
 * One dispatch for all heads of all layers. Bytes: B = 24 · live slots of all heads.
 */
import { numbers } from "../cases/cases.ts";
import source from "./h2o_scores.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { runs } from "../cases/slot_cases.ts";

export const h2oScores = defineKernel({
  name: "h2o_scores",
  source,
  bindings: {
    /** Mean over the chunk's rows and the heads of a group, [all heads, stride]. */
    mass: "read",
    /** Live slots are start..end, [all heads]; the chunk's rows were appended. */
    start: "read",
    end: "read",
    /** Slot attributes `score` and `seen`, [all heads, stride]; zero for new slots. */
    sum: "write",
    seen: "write",
    /** [all heads, stride]. */
    scores: "write",
  },
  params: { heads: "u32", stride: "u32", /** Of the chunk. */ rows: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ mass, start, end, sum, seen, scores }, { heads, stride, rows }) {
    for (let head = 0; head < heads; head++) {
      const past = end[head]! - rows;
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        const at = head * stride + slot;
        sum[at]! += mass[at]! * rows;
        seen[at]! += slot < past ? rows : end[head]! - slot;
        scores[at] = sum[at]! / seen[at]!;
      }
    }
  },
  tolerance: {
    absolute: 1e-6,
    relative: 1e-6,
    reason: "product, sum and quotient in single precision; WGSL's quotient may be off by 2.5 units",
  },
  cases: () =>
    runs().flatMap(({ name, stride, start, end }) =>
      [1, 37].map((rows) => {
        const heads = start.length, random = (seed: number) => numbers(heads * stride, seed).map((x) => x + 2);
        const seen = random(42).map((x) => Math.round(100 * x));
        return {
          name: `${name}, ${rows} rows`,
          buffers: {
            mass: random(41),
            start,
            end,
            sum: random(43),
            seen,
            scores: new Float32Array(heads * stride).fill(-7),
          },
          values: { heads, stride, rows },
        };
      })
    ),
});
