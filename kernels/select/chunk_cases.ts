/** Heads whose slots come in runs of neighbouring tokens, what was evicted and what is protected left out. */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { numbers, ODD_SCORES, ragged } from "../cases/cases.ts";

export function runCases() {
  const many = (n: number) => Array.from(numbers(n, 8));
  const cases: [name: string, rows: number[][], LENGTH: number, quota: number[]][] = [
    ["one slot, and none", [[7], []], 20, [1, 3]],
    ["ragged", [1001, 333, 64, 700].map(many), 20, [500, 100, 36, 699]],
    ["runs of one token", [many(301)], 1, [111]],
    ["runs of ten", [many(555), many(99)], 10, [77, 98]],
    ["all equal, by which no sum divides", [Array(700).fill(0.1), Array(63).fill(-1 / 3)], 20, [205, 40]],
    ["hard to order", [Array.from({ length: 400 }, (_, i) => i % 29 ? 1 : ODD_SCORES[i % 5]!)], 8, [150]],
    ["fewer than are protected", [many(200)], 20, [20]],
  ];
  return cases.map(([name, rows, LENGTH, quota]) => {
    const { stride, start, end, place } = ragged(rows.map((row) => row.length));
    const isMemory = (i: number) => i > 4 && i % 53 === 9;
    // of every 30 tokens, a few are gone
    const sources = rows.map((row) => row.map((_, i) => isMemory(i) ? MEMORY_SOURCE : i + 4 * Math.floor(i / 26)));
    const marks = rows.map(({ length }) =>
      Array.from({ length }, (_, i) => i < 4 || length > 40 && i >= length - 32 || isMemory(i) ? 1 : 0)
    );
    return {
      name,
      rows,
      marks,
      sources,
      quota,
      buffers: {
        scores: place(rows, 1e9),
        shielded: Uint32Array.from(place(marks, 1)),
        source: Int32Array.from(place(sources, 5)),
        start,
        end,
      },
      values: { heads: rows.length, stride, LENGTH },
    };
  });
}
