/**
 * Gather and rotate: the kept keys of every head move together as in `gather`, in place, and turn to where they stand under compact positions
 * (`core/compact.ts`). `compact_positions` writes those positions down afterwards.
 *
 * Bytes: 8 × Σ count × (KEY + 1 where there is a bias), and 4 × Σ count × (columns of a row / 8) positions; dispatches: one per layer.
 */
import { Rope } from "../../core/rope.ts";
import { keeps, newStart, numbers } from "../cases/cases.ts";
import { GATHER_COLUMNS } from "./gather.ts";
import source from "./gather_rotate.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { FINE, rotationTable } from "./rotation.ts";

/** Words that threads own: a word of the first half with its partner is one, the bias another. */
const columns = ({ WORDS, KEY }: { WORDS: number; KEY: number }) => KEY / 2 + (WORDS > KEY ? 1 : 0);

export const gatherRotate = defineKernel({
  name: "gather_rotate",
  source,
  bindings: {
    /** Ascending slots that stay, [all heads, stride]. */
    kept: "read",
    /** How many, [all heads]. */
    count: "read",
    /** RoPE index at which each key stands, before anything moved, [all heads, stride]. */
    position: "read",
    /** `rotationTable`. */
    turns: "read",
    /** The layer's keys [heads, stride, WORDS]. */
    pool: "write",
  },
  params: { heads: "u32", firstHead: "u32", kvHeads: "u32", allHeads: "u32", stride: "u32", sinks: "u32" },
  /** Words of a row; those of them that are the key, before the bias of a wide cache; whether a word is two f16, not an f32. */
  constants: ["WORDS", "KEY", "HALF"],
  threads: 256,
  grid: ({ heads, WORDS, KEY }) => {
    const all = columns({ WORDS, KEY });
    return [Math.ceil(all / Math.min(all, GATHER_COLUMNS)), heads];
  },
  cpu(
    { kept, count, position, turns, pool },
    { heads, firstHead, kvHeads, allHeads, stride, sinks, WORDS, KEY, HALF },
  ) {
    const width = HALF ? 2 * WORDS : WORDS, half = HALF ? KEY : KEY / 2, before = pool.slice();
    const longest = Math.max(0, ...count.subarray(0, allHeads));
    for (let head = 0; head < heads; head++) {
      const list = (firstHead + head) * stride, total = count[firstHead + head]!;
      const start = newStart(count, firstHead + head, kvHeads);
      for (let row = 0; row < total; row++) {
        const slot = kept[list + row]!, stands = row < sinks ? row : longest - total + row;
        const delta = stands - position[list + slot]!, steps = Math.abs(delta);
        const from = (head * stride + slot) * width, to = (head * stride + start + row) * width;
        for (let j = 0; j < half; j++) {
          const fine = 2 * ((steps % FINE) * half + j), coarse = 2 * ((FINE + Math.floor(steps / FINE)) * half + j);
          const cos = turns[fine]! * turns[coarse]! - turns[fine + 1]! * turns[coarse + 1]!;
          const sin = turns[fine]! * turns[coarse + 1]! + turns[fine + 1]! * turns[coarse]!;
          const x = before[from + j]!, y = before[from + half + j]!, up = delta < 0 ? -sin : sin;
          pool[to + j] = delta === 0 ? x : x * cos - y * up;
          pool[to + half + j] = delta === 0 ? y : y * cos + x * up;
        }
        if (WORDS > KEY) {
          for (let j = 2 * half; j < 2 * half + (HALF ? 2 : 1); j++) pool[to + j] = before[from + j]!;
        }
      }
    }
  },
  tolerance: { absolute: 2e-6, relative: 0, reason: "single precision; rows of at most 2" },
  cases: () =>
    [
      { D: 4, HALF: 0, wide: 0 },
      { D: 36, HALF: 0, wide: 0 },
      { D: 64, HALF: 0, wide: 0 },
      { D: 36, HALF: 1, wide: 0 },
      { D: 64, HALF: 1, wide: 0 },
      { D: 20, HALF: 0, wide: 8 },
      { D: 64, HALF: 0, wide: 8 },
      { D: 64, HALF: 1, wide: 8 },
    ].flatMap((
      { D, HALF, wide },
    ) =>
      keeps().map(({ name, stride, lists, kvHeads, firstHead, kept, count }) => {
        const rows = numbers((lists - firstHead) * stride * (D + wide), 4);
        // a key stands at or after its slot, up to 9,000 positions on
        const position = Int32Array.from({ length: lists * stride }, (_, i) => i % stride + (i * 37 % 9000));
        const words = HALF ? 2 : 1;
        return {
          name: `${name}, ${D}${wide ? " + 8" : ""} numbers in ${HALF ? "f16" : "f32"}`,
          buffers: {
            kept,
            count,
            position,
            turns: rotationTable(new Rope({ headDim: D, ropeTheta: 10000, ropeScaling: null }), 10000 + stride),
            pool: HALF ? Float16Array.from(rows) : rows,
          },
          values: {
            heads: lists - firstHead,
            firstHead,
            kvHeads,
            allHeads: lists,
            stride,
            sinks: 4,
            WORDS: (D + wide) / words,
            KEY: D / words,
            HALF,
          },
          ...(HALF
            ? { tolerance: { absolute: 2e-3, relative: 0, reason: "half precision; rows of at most 2√2" } }
            : {}),
        };
      })
    ),
});
