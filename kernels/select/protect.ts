/**
 * Protect: which slots no policy may evict, and how many in every head. The counterpart of `core/protected_slots.ts`, which is its reference.
 *
 * Bytes: 8 × Σ live; dispatches: one.
 */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { RECENT, SINKS } from "../../core/policy.ts";
import { protectedSlots } from "../../core/protected_slots.ts";
import { ragged } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./protect.wgsl" with { type: "text" };

export const protect = defineKernel({
  name: "protect",
  source,
  bindings: {
    /** Token's index in the prompt, [heads, stride]. */
    source: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** 1 for live slots that must stay, 0 for the others, [heads, stride]. */
    shielded: "write",
    /** Live slots that must stay, [heads]. */
    guarded: "write",
  },
  params: { heads: "u32", stride: "u32", sinks: "i32", recent: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ source, start, end, shielded, guarded }, { heads, stride, sinks, recent }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!;
      const marks = protectedSlots(Int32Array.from(source.subarray(from, head * stride + end[head]!)), sinks, recent);
      shielded.set(marks, from);
      guarded[head] = marks.reduce((sum, one) => sum + one, 0);
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["no slot and one", [0, 1], 0],
      ["fewer than the newest", [31, 5, 32, 33], 0],
      ["a document", [1001, 300, 700, 37], 0],
      ["slots that stand for several tokens", [1000, 60], 16],
      ["nothing else", [64, 36], 30],
    ] as const).map(([name, lengths, memory]) => {
      const { stride, start, end, place } = ragged([...lengths]);
      const sources = lengths.map((n) => Array.from({ length: n }, (_, i) => isMemory(i, memory) ? MEMORY_SOURCE : i));
      return {
        name,
        buffers: {
          source: Int32Array.from(place(sources, 0)),
          start,
          end,
          shielded: new Uint32Array(lengths.length * stride).fill(9),
          guarded: new Uint32Array(lengths.length),
        },
        values: { heads: lengths.length, stride, sinks: SINKS, recent: RECENT },
      };
    }),
});

const isMemory = (slot: number, memory: number) => slot >= 4 && slot % 3 === 0 && slot < 4 + 3 * memory;
