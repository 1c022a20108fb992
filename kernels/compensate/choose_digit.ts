/**
 * Choose digit: a step of choosing the evicted slots of all heads that have the most mass (`heaviest_evicted.ts`).
 *
 * Dispatches: 4 for all heads, one per digit, a workgroup each. Bytes of each: 2 KiB.
 */
import source from "./choose_digit.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";

export const chooseDigit = defineKernel({
  name: "choose_digit",
  source,
  bindings: {
    /** [256]; 0 afterwards. */
    histogram: "write",
    /** [2]: bits of the lowest rank that is taken, as far as they are known; how many of those that have them are to be taken. */
    chosen: "write",
  },
  // parts: share of all that is taken, in 65,536ths, at most 65,536
  params: { digit: "u32", parts: "u32" },
  constants: [],
  threads: 256,
  grid: () => [1],
  cpu({ histogram, chosen }, { digit, parts }) {
    let all = 0, bucket = 255;
    for (const count of histogram) all += count;
    let left = digit === 0 ? Math.ceil(parts * all / 65536) : chosen[1]!;
    while (bucket > 0 && histogram[bucket]! < left) left -= histogram[bucket--]!;
    chosen[0] = (digit === 0 ? 0 : chosen[0]! << 8) | bucket;
    chosen[1] = left;
    histogram.fill(0);
  },
  tolerance: EXACT,
  cases: () =>
    [0, 1, 9000].flatMap((most) =>
      [[0, 16384], [0, 65536], [0, 1], [0, 0], [3, 6554]].map(([digit, parts]) => {
        const histogram = Uint32Array.from({ length: 256 }, (_, i) => i * i * 31 % (most + 1));
        const all = histogram.reduce((a, b) => a + b, 0);
        return {
          name: `${all} slots, ${parts} parts, digit ${digit}`,
          buffers: { histogram, chosen: Uint32Array.of(0x812345, Math.ceil(all / 3)) },
          values: { digit: digit!, parts: parts! },
        };
      })
    ),
});
