/**
 * Hide: what stands before a head's first slot gets no attention from any row. In a column of its own, as chunks leave a slot's log-bias out of their
 * attention and must not see these all the same.
 *
 * Bytes: 4 × heads of the layer × its end; dispatches: one per layer of a wide cache, after its keys were gathered.
 */
import { HIDDEN } from "../../core/gpu_cache.ts";
import { keeps, newStart, numbers } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./hide.wgsl" with { type: "text" };

export const hide = defineKernel({
  name: "hide",
  source,
  bindings: {
    /** Slots that stayed, [all heads]. */
    count: "read",
    /** The layer's keys [heads, stride, WORDS]. */
    pool: "write",
  },
  stored: ["pool"],
  /** `HIDDEN` of what the cache stores. */
  params: { firstHead: "u32", kvHeads: "u32", stride: "u32", hidden: "f32" },
  /** Numbers of a row, and which of them hides. */
  constants: ["WORDS", "COLUMN"],
  threads: 256,
  grid: ({ stride, kvHeads }, threads) => [Math.ceil(stride / threads), kvHeads],
  cpu({ count, pool }, { firstHead, kvHeads, stride, hidden, WORDS, COLUMN }) {
    for (let head = 0; head < kvHeads; head++) {
      const start = newStart(count, firstHead + head, kvHeads), end = start + count[firstHead + head]!;
      for (let slot = 0; slot < end; slot++) pool[(head * stride + slot) * WORDS + COLUMN] = slot < start ? hidden : 0;
    }
  },
  tolerance: EXACT,
  cases: () =>
    keeps().map(({ name, stride, kvHeads, lists, firstHead, count }) => ({
      name,
      buffers: { count, pool: numbers((lists - firstHead) * stride * 12, 9) },
      values: { firstHead, kvHeads, stride, hidden: HIDDEN.f16, WORDS: 12, COLUMN: 5 },
    })),
});
