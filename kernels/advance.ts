/** Advance: every head has so many live slots more. Apart from `append`, whose workgroups read `live` while others would already have changed it. */
import source from "./advance.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "./kernel.ts";

export const advance = defineKernel({
  name: "advance",
  source,
  bindings: { live: "write" },
  params: { heads: "u32", count: "u32" },
  constants: [],
  threads: 64,
  grid: ({ heads }, threads) => [Math.ceil(heads / threads)],
  cpu({ live }, { heads, count }) {
    for (let head = 0; head < heads; head++) live[head]! += count;
  },
  tolerance: EXACT,
  cases: () =>
    [1, 63, 270].map((heads) => ({
      name: `${heads} heads`,
      buffers: { live: Uint32Array.from({ length: heads + 1 }, (_, i) => i * 7 % 50) },
      values: { heads, count: 5 },
    })),
});
