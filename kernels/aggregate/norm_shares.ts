/**
 * Each head's part in the value norms of its layer, for the slots that a pass appended: while every head still has all of these tokens. The counterpart
 * of `shareNorms` and `normShares` in `core/aggregate/defensive.ts`, which do it at the next compaction, for all slots that came since: the same numbers.
 *
 * One dispatch for all heads of all layers. Bytes: B = 4 · count · heads · (kvHeads + 2), of which the GPU's cache serves all but 8 · count · heads.
 */
import { normShares as shares } from "../../core/aggregate/defensive.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./norm_shares.wgsl" with { type: "text" };

export const normShares = defineKernel({
  name: "norm_shares",
  source,
  bindings: {
    /** Slot attribute `valueNorm`, [all heads, stride]. */
    norm: "read",
    /** Where the live slots end, the new ones included, [all heads]. */
    end: "read",
    /** Slot attribute `normShare`, [all heads, stride]; other slots than the new ones stay as they are. */
    share: "write",
  },
  params: { heads: "u32", kvHeads: "u32", stride: "u32", /** New slots of every head. */ count: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, count }, threads) => [Math.ceil(count / threads), heads],
  cpu({ norm, end, share }, { heads, kvHeads, stride, count }) {
    for (let layer = 0; layer < heads; layer += kvHeads) {
      const from = Array.from({ length: kvHeads }, (_, h) => (layer + h) * stride + end[layer + h]! - count);
      const newest = shares(from.map((at) => Float32Array.from(norm.subarray(at, at + count))));
      newest.forEach((row, h) => share.set(row.map((value) => Math.max(value, 1e-30)), from[h]!));
    }
  },
  tolerance: {
    absolute: 0,
    relative: 1e-6,
    reason: "sum and quotient in single precision; WGSL's quotient may be off by 2.5 units",
  },
  cases: () =>
    ([
      ["one slot of one head", 1, 1, [1], 1],
      ["no new slots", 5, 2, [5, 0, 3, 1], 0],
      ["all are new", 301, 3, [301, 301, 301], 301],
      ["some of ragged heads", 700, 2, [700, 260, 257, 511], 257],
    ] as const).flatMap(([name, stride, kvHeads, ends, count]) => {
      const heads = ends.length, end = Uint32Array.from(ends);
      const some = numbers(heads * stride, 51).map((x) => x + 2);
      return [
        { name, norm: some },
        // a token whose values are zero in all heads, and one where only some are
        { name: `${name}, zeros`, norm: some.map((x, i) => i % 3 ? x : 0) },
        { name: `${name}, nothing but zeros`, norm: new Float32Array(some.length) },
      ].map(({ name, norm }) => ({
        name,
        buffers: { norm, end, share: new Float32Array(heads * stride).fill(-7) },
        values: { heads, kvHeads, stride, count },
      }));
    }),
});
