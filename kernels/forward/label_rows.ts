/**
 * Label rows: source token and position of the rows that a pass wrote behind the live slots, the same in all heads (`KvCache.append`). Where the ends
 * are known only here, the CPU cannot write them; and it is one launch in place of two writes per head.
 *
 * Bytes: 8 × heads × count; dispatches: one.
 */
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./label_rows.wgsl" with { type: "text" };

export const labelRows = defineKernel({
  name: "label_rows",
  source,
  bindings: {
    /** One past each head's last live slot, [heads]; `end + count ≤ stride` is the caller's to see to. Unchanged: `advance` comes after. */
    end: "read",
    /** Token's index in the prompt, [heads, stride]. */
    source: "write",
    /** RoPE index, [heads, stride]. */
    position: "write",
  },
  params: { heads: "u32", stride: "u32", count: "u32", firstSource: "i32", firstPosition: "i32" },
  constants: [],
  threads: 64,
  grid: ({ heads, count }, threads) => [Math.ceil(count / threads), heads],
  cpu({ end, source, position }, { heads, stride, count, firstSource, firstPosition }) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < count; row++) {
        const at = head * stride + end[head]! + row;
        source[at] = firstSource + row;
        position[at] = firstPosition + row;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["one row of one head", 1, [0]],
      ["no rows", 0, [3, 5]],
      ["ragged, up to the last slot", 133, [67, 0, 12]],
      ["many heads", 3, Array.from({ length: 70 }, (_, i) => i % 11)],
    ] as const).map(([name, count, ends]) => {
      const stride = Math.max(...ends) + count, slots = ends.length * stride;
      return {
        name,
        buffers: {
          end: Uint32Array.from(ends),
          source: new Int32Array(slots).fill(-7),
          position: new Int32Array(slots).fill(-8),
        },
        values: { heads: ends.length, stride, count, firstSource: 100_000, firstPosition: 4000 },
      };
    }),
});
