/**
 * Gather: the kept rows of every head move to its front, in place, without a second cache. For values, keys that keep their positions, and slot
 * attributes (rows of one word). The counterpart of the moves in `core/compact.ts`; a head's live slots are its kept ones afterwards.
 */
import { keeps, numbers } from "./cases.ts";
import source from "./gather.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "./kernel.ts";

/** Columns that a workgroup moves, as in the shader. */
export const GATHER_COLUMNS = 8;

export const gather = defineKernel({
  name: "gather",
  source,
  bindings: {
    /** Ascending slots that stay, [all heads, stride]. */
    kept: "read",
    /** How many, [all heads]. */
    count: "read",
    /** [heads, stride, WORDS]. */
    pool: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WORDS"],
  threads: 256,
  grid: ({ heads, WORDS }) => [Math.ceil(WORDS / Math.min(WORDS, GATHER_COLUMNS)), heads],
  cpu({ kept, count, pool }, { heads, firstHead, stride, WORDS }) {
    for (let head = 0; head < heads; head++) {
      const slots = (firstHead + head) * stride;
      for (let i = 0; i < count[firstHead + head]!; i++) {
        const from = (head * stride + kept[slots + i]!) * WORDS, to = (head * stride + i) * WORDS;
        for (let word = 0; word < WORDS; word++) pool[to + word] = pool[from + word]!;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    [1, 3, 12, 64].flatMap((WORDS) =>
      keeps().map(({ name, stride, lists, firstHead, kept, count }) => ({
        name: `${name}, rows of ${WORDS}`,
        buffers: { kept, count, pool: numbers((lists - firstHead) * stride * WORDS, 3) },
        values: { heads: lists - firstHead, firstHead, stride, WORDS },
      }))
    ),
});
