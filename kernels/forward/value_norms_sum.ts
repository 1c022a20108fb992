/**
 * Adds up the parts that `value_norms` left, into the slot attribute `valueNorm`. One dispatch for all layers; moves 4 (stripes + 1) bytes per new row of
 * every head.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { lives, slotNumbers } from "../cases/live.ts";
import source from "./value_norms_sum.wgsl" with { type: "text" };

export const valueNormsSum = defineKernel({
  name: "value_norms_sum",
  source,
  bindings: {
    /** [heads, stripes, rows]. */
    parts: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** The one behind the last live slot, [heads]. */
    end: "read",
    /** [heads, stride]. */
    valueNorm: "write",
  },
  /** `stripes` as `valueNormStripes` says; `group` query heads of a KV head. */
  params: { heads: "u32", stride: "u32", rows: "u32", stripes: "u32", group: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, rows }, threads) => [Math.ceil(rows / threads), heads],
  cpu({ parts, start, end, valueNorm }, { heads, stride, rows, stripes, group }) {
    for (let head = 0; head < heads; head++) {
      const first = Math.max(0, end[head]! - rows);
      for (let slot = Math.max(first, start[head]!); slot < end[head]!; slot++) {
        let sum = 0;
        for (let stripe = 0; stripe < stripes; stripe++) {
          sum += parts[(head * stripes + stripe) * rows + slot - first]!;
        }
        valueNorm[head * stride + slot] = sum / group;
      }
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "a sum and a quotient in single precision" },
  cases: () =>
    lives().flatMap((live) =>
      [1, 5].map((stripes) => {
        const { allHeads: heads, stride, start, end } = live, rows = Math.max(1, stride - 2);
        return {
          name: `${live.name}, ${stripes} parts`,
          buffers: {
            parts: numbers(heads * stripes * rows, 2),
            start,
            end,
            valueNorm: slotNumbers(live, 1),
          },
          values: { heads, stride, rows, stripes, group: 3 },
        };
      })
    ),
});
