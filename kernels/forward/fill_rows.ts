/**
 * Fill rows: a slot attribute of the rows that a pass wrote behind the live slots (`KvCache.append`: what is not given starts at 0). What stands there
 * is left over from slots that moved away.
 *
 * Bytes: 4 × heads × count; dispatches: one per attribute.
 */
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./fill_rows.wgsl" with { type: "text" };

export const fillRows = defineKernel({
  name: "fill_rows",
  source,
  bindings: {
    /** One past each head's last live slot, [heads]; `end + count ≤ stride` is the caller's to see to. Unchanged: `advance` comes after. */
    end: "read",
    /** The attribute, [heads, stride]. */
    pool: "write",
  },
  params: { heads: "u32", stride: "u32", count: "u32", value: "f32" },
  constants: [],
  threads: 64,
  grid: ({ heads, count }, threads) => [Math.ceil(count / threads), heads],
  cpu({ end, pool }, { heads, stride, count, value }) {
    for (let head = 0; head < heads; head++) {
      const at = head * stride + end[head]!;
      pool.fill(value, at, at + count);
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["one row of one head", 1, [0], 0],
      ["no rows", 0, [3, 5], 0],
      ["ragged, up to the last slot", 133, [67, 0, 12], 0.5],
    ] as const).map(([name, count, ends, value]) => {
      const stride = Math.max(...ends) + count;
      return {
        name,
        buffers: { end: Uint32Array.from(ends), pool: new Float32Array(ends.length * stride).fill(-7) },
        values: { heads: ends.length, stride, count, value },
      };
    }),
});
