/**
 * Gather: the kept rows of every head move together, in place, without a second cache, so that all heads of a layer end at one slot. For values, keys
 * that keep their positions, and slot attributes (rows of one word, all heads in one launch). The counterpart of the moves in `core/compact.ts`; `settle`
 * says afterwards where heads begin and end.
 *
 * Bytes: 8 × Σ count × MOVED, at most; dispatches: one per layer and pool, one per attribute.
 */
import { HIDDEN } from "../../core/gpu_cache.ts";
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
  /** Words of a row; how many move, as those after are the same in all rows; 1 where the last that moves is a bias (f32), to hide slots before `start`. */
  constants: ["WORDS", "MOVED", "HIDES"],
  threads: 256,
  grid: ({ heads, MOVED }) => [Math.ceil(MOVED / Math.min(MOVED, GATHER_COLUMNS)), heads],
  cpu({ kept, count, pool }, { heads, firstHead, kvHeads, stride, WORDS, MOVED, HIDES }) {
    const before = pool.slice();
    for (let head = 0; head < heads; head++) {
      const list = (firstHead + head) * stride, start = newStart(count, firstHead + head, kvHeads);
      for (let i = 0; i < count[firstHead + head]!; i++) {
        const from = (head * stride + kept[list + i]!) * WORDS, to = (head * stride + start + i) * WORDS;
        for (let word = 0; word < MOVED; word++) pool[to + word] = before[from + word]!;
      }
      if (HIDES) { for (let slot = 0; slot < start; slot++) pool[(head * stride + slot) * WORDS + MOVED - 1] = HIDDEN; }
    }
  },
  tolerance: EXACT,
  cases: () =>
    [[1, 1, 0], [3, 3, 0], [12, 12, 0], [64, 64, 0], [17, 10, 0], [28, 21, 1], [72, 65, 1]].flatMap((
      [WORDS, MOVED, HIDES],
    ) =>
      keeps().map(({ name, stride, lists, kvHeads, firstHead, kept, count }) => ({
        name: `${name}, ${MOVED} of ${WORDS} words${HIDES ? ", hiding" : ""}`,
        buffers: { kept, count, pool: numbers((lists - firstHead) * stride * WORDS!, 3) },
        values: {
          heads: lists - firstHead,
          firstHead,
          kvHeads,
          stride,
          WORDS: WORDS!,
          MOVED: MOVED!,
          HIDES: HIDES!,
        },
      }))
    ),
});
