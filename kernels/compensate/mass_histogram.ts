/**
 * Mass histogram: a step of choosing the evicted slots of all heads that have the most mass (`heaviest_evicted.ts`).
 *
 * Dispatches: 4 for all heads, one per digit. Bytes of each: 8 per evicted slot, and 2 KiB per head (3 KiB the last).
 */
import { defineKernel, EXACT } from "../kernel.ts";
import { type LosingHeads, losingHeads } from "../cases/losing_heads.ts";
import source from "./mass_histogram.wgsl" with { type: "text" };

export const massHistogram = defineKernel({
  name: "mass_histogram",
  source,
  bindings: {
    /** [heads, stride] */
    mass: "read",
    /** Evicted slots [heads, stride], how many [heads]. */
    evicted: "read",
    evictedCount: "read",
    /** Of `choose_digit`: the bits of the digits before; not looked at for the first. */
    chosen: "read",
    /** [256], 0 before. */
    histogram: "write",
    /** [heads, 256], only written for the last digit. */
    headHistogram: "write",
  },
  params: { heads: "u32", stride: "u32", digit: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ mass, evicted, evictedCount, chosen, histogram, headHistogram }, { heads, stride, digit }) {
    for (let head = 0; head < heads; head++) {
      const own = new Uint32Array(256);
      for (let i = 0; i < evictedCount[head]!; i++) {
        const rank = rankOf(mass[head * stride + evicted[head * stride + i]!]!);
        const before = digit === 0 ? chosen[0]! : rank >>> (32 - 8 * digit);
        if (before === chosen[0]) own[(rank >>> (24 - 8 * digit)) & 255]!++;
      }
      own.forEach((count, i) => histogram[i]! += count);
      if (digit === 3) headHistogram.set(own, head * 256);
    }
  },
  tolerance: EXACT,
  cases: () =>
    losingHeads().flatMap((of) => {
      const { evicted, evictedCount, allHeads, stride } = of, mass = oddMass(of);
      const some = rankOf(mass[evicted[0]!]!);
      return [0, 1, 2, 3].map((digit) => ({
        name: `${of.name}, digit ${digit}`,
        buffers: {
          mass,
          evicted,
          evictedCount,
          chosen: Uint32Array.of(digit === 0 ? 77 : some >>> (32 - 8 * digit), 3),
          histogram: new Uint32Array(256),
          headHistogram: new Uint32Array(allHeads * 256).fill(8),
        },
        values: { heads: allHeads, stride, digit },
      }));
    }),
});

/** Integers in the order of the floats; NaN below everything. */
export function rankOf(value: number): number {
  if (Number.isNaN(value)) return 0;
  const bits = new Uint32Array(Float32Array.of(value === 0 ? 0 : value).buffer)[0]!;
  return (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;
}

/** Masses with many ties, zeros of both signs, infinity and NaN. */
export function oddMass({ mass }: LosingHeads): Float32Array<ArrayBuffer> {
  return mass.map((x, i) => i % 3 === 0 ? 0.25 : i % 31 === 0 ? -0 : i % 37 === 0 ? NaN : i % 41 === 0 ? Infinity : x);
}
