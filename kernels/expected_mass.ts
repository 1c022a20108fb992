/**
 * Expected mass: takes the factor ‖v‖₂ out of expected scores again, as `core/probe/expected_mass.ts` does, for stages that weigh values themselves. One
 * dispatch per layer, after `expected_leading`; moves 4 (headDim + 2) bytes per live slot of every head.
 */
import source from "./expected_mass.wgsl" with { type: "text" };
import { defineKernel } from "./kernel.ts";
import { SHARING } from "./knorm.ts";
import { lives, rowsOf, slotNumbers, slotRows, WIDTHS } from "./live.ts";
import { rowNorms } from "../core/probe/norms.ts";

export const expectedMass = defineKernel({
  name: "expected_mass",
  source,
  bindings: {
    /** The layer's values, [heads, stride, WIDTH]. */
    values: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** [all heads, stride]. */
    scores: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "HEAD_DIM"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / (threads / SHARING)), heads],
  cpu({ values, start, end, scores }, { heads, firstHead, stride, WIDTH, HEAD_DIM }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, from = start[head]!;
      const norms = rowNorms(rowsOf(values, { stride, WIDTH, HEAD_DIM }, h, from, end[head]!), HEAD_DIM);
      norms.forEach((norm, i) => norm > 0 && (scores[head * stride + from + i]! /= norm));
    }
  },
  tolerance: { absolute: 0, relative: 1e-6, reason: "squares of a row summed in single precision" },
  cases: () =>
    WIDTHS.flatMap((width) =>
      lives().map((live) => {
        const { heads, firstHead, stride, start, end } = live;
        const values = slotRows(live, width.WIDTH, width.HEAD_DIM, 3);
        // a value of zeros, where its head has one
        const zero = (end[firstHead]! - 1) * width.WIDTH;
        if (end[firstHead]! > start[firstHead]!) values.fill(0, zero, zero + width.HEAD_DIM);
        return {
          name: `${live.name}, ${width.HEAD_DIM} of ${width.WIDTH} columns`,
          buffers: { values, start, end, scores: slotNumbers(live, 1) },
          values: { heads, firstHead, stride, ...width },
        };
      })
    ),
});
