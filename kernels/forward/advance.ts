/**
 * Advance: the rows that passes wrote behind the live slots of every head are live from now on. After `label_rows`.
 *
 * Bytes: 8 × heads; dispatches: one.
 */
import source from "./advance.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";

export const advance = defineKernel({
  name: "advance",
  source,
  bindings: {
    /** One past each head's last live slot, [heads]. */
    end: "write",
  },
  params: { heads: "u32", count: "u32" },
  constants: [],
  threads: 64,
  grid: ({ heads }, threads) => [Math.ceil(heads / threads)],
  cpu({ end }, { heads, count }) {
    for (let head = 0; head < heads; head++) end[head]! += count;
  },
  tolerance: EXACT,
  cases: () =>
    [1, 63, 270].map((heads) => ({
      name: `${heads} heads`,
      buffers: { end: Uint32Array.from({ length: heads + 1 }, (_, i) => i * 7 % 50) },
      values: { heads, count: 5 },
    })),
});
