/**
 * Gather and rotate: the kept keys of every head move to its front, in place, and turn to where they stand under compact positions (`core/compact.ts`).
 * `compact_positions` writes those positions down afterwards.
 */
import { Rope } from "../core/rope.ts";
import { keeps, numbers } from "./cases.ts";
import { GATHER_COLUMNS } from "./gather.ts";
import source from "./gather_rotate.wgsl" with { type: "text" };
import { defineKernel } from "./kernel.ts";
import { FINE, rotationTable } from "./rotation.ts";

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
    /** The layer's keys [heads, stride, D]: WORDS words a row, f32, or two f16 in a word where HALF is 1. */
    pool: "write",
  },
  params: { heads: "u32", firstHead: "u32", allHeads: "u32", stride: "u32", sinks: "u32" },
  constants: ["WORDS", "HALF"],
  threads: 256,
  grid: ({ heads, WORDS }) => [Math.ceil(WORDS / 2 / Math.min(WORDS / 2, GATHER_COLUMNS)), heads],
  cpu({ kept, count, position, turns, pool }, { heads, firstHead, allHeads, stride, sinks, WORDS, HALF }) {
    const half = HALF ? WORDS : WORDS / 2;
    const longest = Math.max(0, ...count.subarray(0, allHeads));
    for (let head = 0; head < heads; head++) {
      const slots = (firstHead + head) * stride, total = count[firstHead + head]!;
      for (let row = 0; row < total; row++) {
        const slot = kept[slots + row]!, stands = row < sinks ? row : longest - total + row;
        const delta = stands - position[slots + slot]!, steps = Math.abs(delta);
        const from = (head * stride + slot) * 2 * half, to = (head * stride + row) * 2 * half;
        for (let j = 0; j < half; j++) {
          const fine = 2 * ((steps % FINE) * half + j), coarse = 2 * ((FINE + Math.floor(steps / FINE)) * half + j);
          const cos = turns[fine]! * turns[coarse]! - turns[fine + 1]! * turns[coarse + 1]!;
          const sin = turns[fine]! * turns[coarse + 1]! + turns[fine + 1]! * turns[coarse]!;
          const x = pool[from + j]!, y = pool[from + half + j]!, up = delta < 0 ? -sin : sin;
          pool[to + j] = delta === 0 ? x : x * cos - y * up;
          pool[to + half + j] = delta === 0 ? y : y * cos + x * up;
        }
      }
    }
  },
  tolerance: { absolute: 2e-6, relative: 0, reason: "single precision; rows of at most 2" },
  cases: () =>
    [{ D: 4, HALF: 0 }, { D: 36, HALF: 0 }, { D: 64, HALF: 0 }, { D: 36, HALF: 1 }, { D: 64, HALF: 1 }].flatMap((
      { D, HALF },
    ) =>
      keeps().map(({ name, stride, lists, firstHead, kept, count }) => {
        const rows = numbers((lists - firstHead) * stride * D, 4);
        // a key stands at or after its slot, up to 9,000 positions on
        const position = Int32Array.from({ length: lists * stride }, (_, i) => i % stride + (i * 37 % 9000));
        return {
          name: `${name}, ${D} numbers in ${HALF ? "f16" : "f32"}`,
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
            allHeads: lists,
            stride,
            sinks: 4,
            WORDS: HALF ? D / 2 : D,
            HALF,
          },
          ...(HALF
            ? { tolerance: { absolute: 2e-3, relative: 0, reason: "half precision; rows of at most 2√2" } }
            : {}),
        };
      })
    ),
});
