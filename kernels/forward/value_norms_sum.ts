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
    /** [heads, stripes, behind - first]. */
    parts: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** The one behind the last live slot, [heads]. */
    end: "read",
    /** [heads, stride]. */
    valueNorm: "write",
  },
  /** `stripes` as `valueNormStripes` says; `group` query heads of a KV head. */
  params: { heads: "u32", stride: "u32", first: "u32", behind: "u32", stripes: "u32", group: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, first, behind }, threads) => [Math.ceil((behind - first) / threads), heads],
  cpu({ parts, start, end, valueNorm }, { heads, stride, first, behind, stripes, group }) {
    for (let head = 0; head < heads; head++) {
      for (let slot = Math.max(first, start[head]!); slot < Math.min(behind, end[head]!); slot++) {
        let sum = 0;
        for (let stripe = 0; stripe < stripes; stripe++) {
          sum += parts[(head * stripes + stripe) * (behind - first) + slot - first]!;
        }
        valueNorm[head * stride + slot] = sum / group;
      }
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "a sum and a quotient in single precision" },
  cases: () =>
    lives().flatMap((live) =>
      [1, 5].map((stripes) => {
        const { allHeads: heads, stride, start, end } = live, behind = stride, first = Math.min(2, stride);
        return {
          name: `${live.name}, ${stripes} parts`,
          buffers: {
            parts: numbers(heads * stripes * (behind - first), 2),
            start,
            end,
            valueNorm: slotNumbers(live, 1),
          },
          values: { heads, stride, first, behind, stripes, group: 3 },
        };
      })
    ),
});
