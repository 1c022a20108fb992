/**
 * Coverage: how many live slots stand in each tenth of what was read (`Reader.coverage`, which gives shares of their sum): once before the answer, 40
 * bytes to read back instead of all sources. `tenths` must be zeros before. `length` must stay below 2^32 / 10.
 *
 * Bytes: 4 × Σ live; dispatches: one.
 */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { ragged } from "../cases/cases.ts";
import source from "./coverage.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";

export const coverage = defineKernel({
  name: "coverage",
  source,
  bindings: {
    /** Token's index in the prompt, [heads, stride]. */
    source: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** Slots in every tenth, [10]; added to. */
    tenths: "write",
  },
  /** Where what counts begins, and how many tokens it is. */
  params: { heads: "u32", stride: "u32", first: "i32", length: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ source, start, end, tenths }, { heads, stride, first, length }) {
    for (let head = 0; head < heads; head++) {
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        const token = source[head * stride + slot]! - first;
        if (token >= 0 && source[head * stride + slot] !== MEMORY_SOURCE) tenths[Math.floor(token * 10 / length)]!++;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["one slot, and none", [1, 0], 0, 1],
      ["a document after a head", [1001, 300, 64, 700], 9, 2400],
      ["fewer tokens than tenths", [7, 7], 0, 7],
    ] as const).map(([name, lengths, first, length]) => {
      const { stride, start, end, place } = ragged([...lengths]);
      const sources = lengths.map((n) =>
        Array.from(
          { length: n },
          (_, i) => i % 40 === 7 && n > 7 ? MEMORY_SOURCE : Math.floor(i * (first + length) / n),
        )
      );
      return {
        name,
        buffers: { source: Int32Array.from(place(sources, 5)), start, end, tenths: new Uint32Array(10) },
        values: { heads: lengths.length, stride, first, length },
      };
    }),
});
