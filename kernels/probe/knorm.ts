/**
 * Key norms: short keys stay, as in `core/probe/knorm.ts`. One dispatch per layer; moves 4 (headDim + 1) bytes per live slot of every head.
 */
import { rowNorms } from "../../core/probe/norms.ts";
import { defineKernel } from "../kernel.ts";
import source from "./knorm.wgsl" with { type: "text" };
import { lives, rowsOf, slotNumbers, slotRows, WIDTHS } from "../cases/live.ts";

/** Threads that share a row, as in the shaders that go through rows. */
export const SHARING = 16;

export const knorm = defineKernel({
  name: "knorm",
  source,
  bindings: {
    /** The layer's keys, [heads, stride, WIDTH]. */
    keys: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** [all heads, stride]. */
    scores: "write",
  },
  stored: ["keys"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "HEAD_DIM"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / (threads / SHARING)), heads],
  cpu({ keys, start, end, scores }, { heads, firstHead, stride, WIDTH, HEAD_DIM }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, from = start[head]!;
      const norms = rowNorms(rowsOf(keys, { stride, WIDTH, HEAD_DIM }, h, from, end[head]!), HEAD_DIM);
      norms.forEach((norm, i) => scores[head * stride + from + i] = -norm);
    }
  },
  tolerance: { absolute: 0, relative: 1e-6, reason: "squares of a row summed in single precision" },
  cases: () =>
    WIDTHS.flatMap((width) =>
      lives().map((live) => ({
        name: `${live.name}, ${width.HEAD_DIM} of ${width.WIDTH} columns`,
        buffers: {
          keys: slotRows(live, width.WIDTH, width.HEAD_DIM, 3),
          start: live.start,
          end: live.end,
          scores: slotNumbers(live, 1),
        },
        values: { heads: live.heads, firstHead: live.firstHead, stride: live.stride, ...width },
      }))
    ),
});
