/**
 * Gather: the kept rows of every head move together, in place, without a second cache, so that all heads of a layer end at one slot. For values, keys
 * that keep their positions, and slot attributes (rows of one word, all heads in one launch). The counterpart of the moves in `core/compact.ts`; `settle`
 * says afterwards where heads begin and end.
 *
 * Bytes: 8 × Σ count × MOVED, at most; dispatches: one per layer and pool, one per attribute.
 */
import { keeps, newStart, numbers } from "../cases/cases.ts";
import source from "./gather.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";

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
  params: { heads: "u32", firstHead: "u32", kvHeads: "u32", stride: "u32" },
  /** Words of a row, and how many of them move. */
  constants: ["WORDS", "MOVED"],
  threads: 256,
  grid: ({ heads, MOVED }) => [Math.ceil(MOVED / Math.min(MOVED, GATHER_COLUMNS)), heads],
  cpu({ kept, count, pool }, { heads, firstHead, kvHeads, stride, WORDS, MOVED }) {
    const before = pool.slice();
    for (let head = 0; head < heads; head++) {
      const list = (firstHead + head) * stride, start = newStart(count, firstHead + head, kvHeads);
      for (let i = 0; i < count[firstHead + head]!; i++) {
        const from = (head * stride + kept[list + i]!) * WORDS, to = (head * stride + start + i) * WORDS;
        for (let word = 0; word < MOVED; word++) pool[to + word] = before[from + word]!;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    [[1, 1], [3, 3], [12, 12], [64, 64], [17, 10], [28, 21], [72, 65]].flatMap((
      [WORDS, MOVED],
    ) =>
      keeps().map(({ name, stride, lists, kvHeads, firstHead, kept, count }) => ({
        name: `${name}, ${MOVED} of ${WORDS} words`,
        buffers: { kept, count, pool: numbers((lists - firstHead) * stride * WORDS!, 3) },
        values: {
          heads: lists - firstHead,
          firstHead,
          kvHeads,
          stride,
          WORDS: WORDS!,
          MOVED: MOVED!,
        },
      }))
    ),
});
