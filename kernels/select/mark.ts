/**
 * Mark: slots that a stage chose are protected from the next one. Of selections in several stages: `critical.ts`, `spread.ts`.
 *
 * Bytes: 8 × Σ live + 8 × Σ count; dispatches: one.
 */
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./mark.wgsl" with { type: "text" };

export const mark = defineKernel({
  name: "mark",
  source,
  bindings: {
    /** 1 for slots that must stay, [heads, stride]. */
    shielded: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** What `top_k` chose, [heads, stride]. */
    kept: "read",
    /** Where every list's slots begin, [heads × runs]; of no account for one list per head. */
    first: "read",
    /** Slots of every list, [heads × runs]. */
    count: "read",
    /** 1 for those too, [heads, stride]. */
    marked: "write",
  },
  params: { heads: "u32", runs: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ shielded, start, end, kept, first, count, marked }, { heads, runs, stride }) {
    for (let head = 0; head < heads; head++) {
      const base = head * stride;
      for (let slot = start[head]!; slot < end[head]!; slot++) marked[base + slot] = shielded[base + slot]!;
      for (let list = head * runs; list < (head + 1) * runs; list++) {
        const at = base + (runs === 1 ? 0 : first[list]!);
        for (let i = 0; i < count[list]!; i++) marked[base + kept[at + i]!] = 1;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    [
      { name: "one list per head", runs: 1, first: [0, 0, 0], count: [100, 0, 493] },
      { name: "stretches", runs: 3, first: [5, 0, 200, 7, 8, 9, 6, 300, 0], count: [60, 0, 99, 1, 1, 1, 10, 66, 0] },
    ].map(({ name, runs, first, count }) => {
      const stride = 517, heads = 3, kept = new Uint32Array(heads * stride);
      count.forEach((slots, list) => {
        const at = Math.floor(list / runs) * stride + (runs === 1 ? 0 : first[list]!);
        const step = slots < 60 || runs === 1 && slots > 200 ? 1 : 2, from = runs === 1 ? 7 : first[list]!;
        for (let i = 0; i < slots; i++) kept[at + i] = from + i * step;
      });
      return {
        name,
        buffers: {
          shielded: Uint32Array.from({ length: heads * stride }, (_, i) => i % 50 === 0 ? 1 : 0),
          start: Uint32Array.of(5, 7, 6),
          end: Uint32Array.of(500, 501, 502),
          kept,
          first: Uint32Array.from(first),
          count: Uint32Array.from(count),
          marked: new Uint32Array(heads * stride).fill(9),
        },
        values: { heads, runs, stride },
      };
    }),
});
