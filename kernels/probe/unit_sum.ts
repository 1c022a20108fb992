/**
 * Sums of keys at length 1, block by block: the mean direction that KeyDiff compares with (`keydiff`), and R-KV's of what was written
 * (`rkv_redundancy`). One dispatch per layer; moves 4 headDim (1 + 1 / 128) bytes per slot of every head, which are read twice, the second time out of
 * the device's cache.
 */
import { rowNorms } from "../../core/probe/norms.ts";
import { defineKernel } from "../kernel.ts";
import { lives, rowsOf, slotRows, WIDTHS } from "../cases/live.ts";
import source from "./unit_sum.wgsl" with { type: "text" };

/** Slots of a block, as in the shaders. */
const BLOCK = 128;
/** `newest` for all live slots. */
export const ALL_SLOTS = 0xffffffff;

/** Blocks that `parts` has for each head. */
export function unitBlocks({ stride, newest }: { stride: number; newest: number }): number {
  return Math.ceil(Math.min(stride, newest) / BLOCK);
}

export const unitSum = defineKernel({
  name: "unit_sum",
  source,
  bindings: {
    /** The layer's keys, [heads, stride, WIDTH]. */
    keys: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** [heads, blocks, HEAD_DIM]; blocks without slots are left as they are. */
    parts: "write",
  },
  stored: ["keys"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", newest: "u32" },
  constants: ["WIDTH", "HEAD_DIM"],
  threads: 256,
  grid: ({ heads, stride, newest }) => [unitBlocks({ stride, newest }), heads],
  cpu({ keys, start, end, parts }, { heads, firstHead, stride, newest, WIDTH, HEAD_DIM }) {
    const blocks = unitBlocks({ stride, newest });
    for (let h = 0; h < heads; h++) {
      const last = end[firstHead + h]!, oldest = Math.max(start[firstHead + h]!, last - newest);
      for (let block = 0; oldest + block * BLOCK < last; block++) {
        const from = oldest + block * BLOCK;
        const rows = rowsOf(keys, { stride, WIDTH, HEAD_DIM }, h, from, Math.min(from + BLOCK, last));
        const norms = rowNorms(rows, HEAD_DIM), sum = new Float64Array(HEAD_DIM);
        rows.forEach((x, i) => {
          const norm = norms[Math.floor(i / HEAD_DIM)]!;
          if (norm > 0) sum[i % HEAD_DIM]! += x / norm;
        });
        parts.set(sum, (h * blocks + block) * HEAD_DIM);
      }
    }
  },
  tolerance: { absolute: 2e-5, relative: 0, reason: "at most 128 numbers of at most 1 summed in single precision" },
  cases: () =>
    WIDTHS.flatMap((width) =>
      [ALL_SLOTS, 131].flatMap((newest) =>
        lives().map((live) => {
          const { heads, firstHead, stride, start, end } = live;
          const keys = slotRows(live, width.WIDTH, width.HEAD_DIM, 3);
          // a key of zeros, where its head has one
          const zero = (end[firstHead]! - 1) * width.WIDTH;
          if (end[firstHead]! > start[firstHead]!) keys.fill(0, zero, zero + width.HEAD_DIM);
          return {
            name: `${live.name}, ${newest === ALL_SLOTS ? "all" : newest} slots of ${width.HEAD_DIM} columns`,
            buffers: {
              keys,
              start,
              end,
              parts: new Float32Array(heads * unitBlocks({ stride, newest }) * width.HEAD_DIM).fill(NaN),
            },
            values: { heads, firstHead, stride, newest, ...width },
          };
        })
      )
    ),
});
