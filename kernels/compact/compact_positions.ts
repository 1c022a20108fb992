/**
 * Compact positions: where the keys stand that `gather_rotate` moved: the sinks at 0…, every head's other slots right-aligned to the longest of all
 * heads (`core/compact.ts`).
 *
 * Bytes: 4 × Σ count; dispatches: one.
 */
import { keeps, newStart } from "../cases/cases.ts";
import source from "./compact_positions.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";

export const compactPositions = defineKernel({
  name: "compact_positions",
  source,
  bindings: {
    /** Slots that stayed, [heads]. */
    count: "read",
    /** RoPE index of each slot, [heads, stride]. */
    position: "write",
  },
  params: { heads: "u32", kvHeads: "u32", stride: "u32", sinks: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ count, position }, { heads, kvHeads, stride, sinks }) {
    const longest = Math.max(0, ...count.subarray(0, heads));
    for (let head = 0; head < heads; head++) {
      const total = count[head]!, first = head * stride + newStart(count, head, kvHeads);
      for (let row = 0; row < total; row++) position[first + row] = row < sinks ? row : longest - total + row;
    }
  },
  tolerance: EXACT,
  cases: () =>
    keeps().map(({ name, stride, lists, kvHeads, count }) => ({
      name,
      buffers: { count, position: Int32Array.from({ length: lists * stride }, (_, i) => 5 * i) },
      values: { heads: lists, kvHeads, stride, sinks: 4 },
    })),
});
