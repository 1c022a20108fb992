/**
 * Key difference: keys unlike the mean of their head's stay, as in `core/probe/keydiff.ts`. After `unit_sum` over all slots: two dispatches per layer in
 * all; this one moves 4 (headDim + 1) bytes per live slot of every head, and every 128 slots read the head's sums again, 4 headDim live / 128 bytes.
 * A key of zeros makes all scores of its head NaN on the CPU, and only its own here.
 */
import { unlikeness } from "../../core/probe/keydiff.ts";
import { defineKernel } from "../kernel.ts";
import source from "./keydiff.wgsl" with { type: "text" };
import { lives, rowsOf, slotNumbers, slotRows, WIDTHS } from "../cases/live.ts";
import { ALL_SLOTS, unitBlocks, unitSum } from "./unit_sum.ts";

export const keydiff = defineKernel({
  name: "keydiff",
  source,
  bindings: {
    /** The layer's keys, [heads, stride, WIDTH]. */
    keys: "read",
    /** What `unit_sum` gave for `ALL_SLOTS`, [heads, blocks, HEAD_DIM]. */
    parts: "read",
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
  grid: ({ heads, stride }) => [unitBlocks({ stride, newest: ALL_SLOTS }), heads],
  cpu({ keys, start, end, scores }, { heads, firstHead, stride, WIDTH, HEAD_DIM }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, from = start[head]!;
      const rows = rowsOf(keys, { stride, WIDTH, HEAD_DIM }, h, from, end[head]!);
      scores.set(unlikeness(rows, HEAD_DIM), head * stride + from);
    }
  },
  tolerance: { absolute: 2e-6, relative: 0, reason: "cosines in single precision" },
  cases: () =>
    WIDTHS.flatMap((width) =>
      lives().map((live) => {
        const { heads, firstHead, stride, start, end } = live, values = { heads, firstHead, stride, ...width };
        const keys = slotRows(live, width.WIDTH, width.HEAD_DIM, 3);
        const parts = new Float32Array(heads * unitBlocks({ stride, newest: ALL_SLOTS }) * width.HEAD_DIM);
        unitSum.cpu({ keys, start, end, parts }, { ...values, newest: ALL_SLOTS });
        return {
          name: `${live.name}, ${width.HEAD_DIM} of ${width.WIDTH} columns`,
          buffers: { keys, parts, start, end, scores: slotNumbers(live, 1) },
          values,
        };
      })
    ),
});
