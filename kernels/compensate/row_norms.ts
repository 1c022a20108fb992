/**
 * Row norms: the length of every live key or value row of a layer. The counterpart of `norm` in `core/compensate/heads.ts`.
 *
 * Dispatches: 1 per layer. Bytes: live × (4 D + 4).
 */
import { norm } from "../../core/compensate/heads.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import source from "./row_norms.wgsl" with { type: "text" };

/** Threads of a row, as in the shader. */
const LANES = 8;

export const rowNorms = defineKernel({
  name: "row_norms",
  source,
  bindings: {
    /** The layer's rows [heads, stride, WIDTH]; the first D columns count. */
    pool: "read",
    /** First live slot, and the first behind the last, [all heads]. */
    start: "read",
    end: "read",
    /** [heads, stride]. */
    norms: "write",
  },
  stored: ["pool"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "D"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu({ pool, start, end, norms }, { heads, firstHead, stride, WIDTH, D }) {
    for (let head = 0; head < heads; head++) {
      for (let slot = start[firstHead + head]!; slot < end[firstHead + head]!; slot++) {
        const at = head * stride + slot;
        norms[at] = norm(pool as Float32Array, at * WIDTH, D);
      }
    }
  },
  tolerance: { absolute: 0, relative: 1e-6, reason: "sums in single precision" },
  cases: () =>
    losingHeads().flatMap(({ name, allHeads, firstHead, stride, start, end }) =>
      [[8, 8], [20, 28], [64, 64], [128, 136]].map(([D, WIDTH]) => {
        const heads = allHeads - firstHead;
        return {
          name: `${name}, ${D} of ${WIDTH} columns`,
          buffers: { pool: numbers(heads * stride * WIDTH!, 2), start, end, norms: numbers(heads * stride, 3) },
          values: { heads, firstHead, stride, WIDTH: WIDTH!, D: D! },
        };
      })
    ),
});
