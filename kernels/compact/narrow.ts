/**
 * Narrow: hides what every head knows of the tokens before a stretch, but for its sinks, as `KvCache.narrowed` does; and shows it again, where the stretch
 * begins with `EVERYTHING`. Nothing moves and nothing is saved: a live slot that is not hidden has a zero in that column.
 *
 * Bytes: 8 × Σ live of the layer; dispatches: one per layer of a wide cache.
 */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { HIDDEN } from "../../core/gpu_cache.ts";
import { SINKS } from "../../core/policy.ts";
import { numbers, ragged } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./narrow.wgsl" with { type: "text" };

/** `firstSource` before all tokens and all slots that stand for several: nothing is hidden. */
export const EVERYTHING = MEMORY_SOURCE;

export const narrow = defineKernel({
  name: "narrow",
  source,
  bindings: {
    /** Token's index in the prompt, [all heads, stride]. */
    source: "read",
    /** First live slot and one past the last, [all heads]. */
    start: "read",
    end: "read",
    /** The layer's keys [heads, stride, WORDS]. */
    pool: "write",
  },
  stored: ["pool"],
  /** Of slots before the first one of a token from `firstSource` on, all but the first `sinks` are hidden: they get `hidden`, `HIDDEN` of what the cache stores. */
  params: { firstHead: "u32", kvHeads: "u32", stride: "u32", sinks: "u32", firstSource: "i32", hidden: "f32" },
  /** Numbers of a row, and which of them hides. */
  constants: ["WORDS", "COLUMN"],
  threads: 256,
  grid: ({ kvHeads }) => [kvHeads],
  cpu({ source, start, end, pool }, { firstHead, kvHeads, stride, sinks, firstSource, hidden, WORDS, COLUMN }) {
    for (let one = 0; one < kvHeads; one++) {
      const head = firstHead + one, begin = start[head]!, last = end[head]!;
      let first = begin;
      while (first < last && source[head * stride + first]! < firstSource) first++;
      for (let slot = begin; slot < last; slot++) {
        pool[(one * stride + slot) * WORDS + COLUMN] = slot >= begin + sinks && slot < first ? hidden : 0;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["everything", EVERYTHING],
      ["nothing before the stretch", 0],
      ["a few sinks before it", 3],
      ["the middle", 700],
      ["all", 100_000],
    ] as const).flatMap(([name, firstSource]) =>
      [0, 2].map((firstHead) => {
        const lengths = [0, 900, 3, 513], { stride, start, end, place } = ragged(lengths, 2);
        // one in seven stands for several tokens, and some of these behind the stretch's beginning
        const sources = lengths.map((n, head) =>
          Array.from({ length: n }, (_, i) => i > 4 && i % 7 === 0 ? MEMORY_SOURCE : i + (head === 3 ? 500 : 0))
        );
        return {
          name: `${name}, ${firstHead ? "second" : "first"} layer`,
          buffers: { source: Int32Array.from(place(sources, 0)), start, end, pool: numbers(2 * stride * 12, 9) },
          values: {
            firstHead,
            kvHeads: 2,
            stride,
            sinks: SINKS,
            firstSource,
            hidden: HIDDEN.f16,
            WORDS: 12,
            COLUMN: 5,
          },
        };
      })
    ),
});
