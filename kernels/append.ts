/**
 * Append: a pass's new key or value rows go behind the live ones of every head of a layer. Rows are counted in words of 32 bits: a row of D numbers has
 * D words in f32, D / 2 in f16.
 */
import source from "./append.wgsl" with { type: "text" };
import { numbers } from "./cases.ts";
import { defineKernel, EXACT } from "./kernel.ts";

export const append = defineKernel({
  name: "append",
  source,
  bindings: {
    /** New rows: row s of head h begins at word `h * headStep + s * rowStep`. */
    rows: "read",
    /** Live slots of all heads; `live + count ≤ stride` is the caller's to see to. Unchanged: `advance` comes after all layers. */
    live: "read",
    /** The layer's cache, [heads, stride, WORDS]. */
    pool: "write",
  },
  params: { heads: "u32", firstHead: "u32", count: "u32", stride: "u32", headStep: "u32", rowStep: "u32" },
  constants: ["WORDS"],
  threads: 256,
  grid: ({ heads, count, WORDS }, threads) => [Math.ceil(count * WORDS / threads), heads],
  cpu({ rows, live, pool }, { heads, firstHead, count, stride, headStep, rowStep, WORDS }) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < count; row++) {
        const slot = head * stride + live[firstHead + head]! + row, from = head * headStep + row * rowStep;
        for (let word = 0; word < WORDS; word++) pool[slot * WORDS + word] = rows[from + word]!;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["one row of one head, one word", 1, 1, 0, 1, [0]],
      ["ragged heads", 3, 64, 1, 7, [5, 0, 17, 9]],
      ["up to the last slot", 2, 5, 0, 33, [31, 31]],
      ["no rows", 2, 4, 0, 0, [3, 3]],
      ["a chunk", 3, 128, 0, 301, [100, 0, 57]],
    ] as const).flatMap(([name, heads, WORDS, firstHead, count, live]) => {
      const stride = Math.max(...live) + count, of = { heads, firstHead, count, stride, WORDS };
      const buffers = () => ({
        rows: numbers(heads * count * WORDS, 1),
        live: Uint32Array.from(live),
        pool: numbers(heads * stride * WORDS, 2),
      });
      return [
        { name, buffers: buffers(), values: { ...of, headStep: count * WORDS, rowStep: WORDS } },
        {
          name: `${name}, heads of a row side by side`,
          buffers: buffers(),
          values: { ...of, headStep: WORDS, rowStep: heads * WORDS },
        },
      ];
    }),
});
