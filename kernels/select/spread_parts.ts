/**
 * Spread parts: equal parts of the document as stretches of every head's slots, and how many slots of each stay. One step of `spread.ts`.
 *
 * `(quota - protected) × (1 - floor)` is taken in single precision: exact for halves and the like. `tokensRead × PARTS` must stay below 2^32.
 *
 * Bytes: 8 × Σ live + 12 × heads × PARTS; dispatches: one.
 */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { ragged } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./spread_parts.wgsl" with { type: "text" };

export const spreadParts = defineKernel({
  name: "spread_parts",
  source,
  bindings: {
    /** Token's index in the prompt, ascending but for slots without a place (< 0), which are protected, [heads, stride]. */
    source: "read",
    /** 1 for slots that must stay, [heads, stride]. */
    shielded: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** Slots to keep, [heads]. */
    quota: "read",
    /** First slot of every part, [heads, PARTS]. */
    partStart: "write",
    /** One past its last. */
    partEnd: "write",
    /** Its slots to keep, protected ones included. */
    partQuota: "write",
  },
  /** Tokens of the prompt read so far; share of the slots that is not spread. */
  params: { heads: "u32", stride: "u32", tokensRead: "u32", free: "f32" },
  constants: ["PARTS"],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu(
    { source, shielded, start, end, quota, partStart, partEnd, partQuota },
    { heads, stride, tokensRead, free, PARTS },
  ) {
    for (let head = 0; head < heads; head++) {
      const base = head * stride, parts = Array.from({ length: PARTS }, () => ({ from: Infinity, to: 0, open: 0 }));
      let taken = 0;
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        taken += shielded[base + slot]!;
        if (source[base + slot]! < 0) continue;
        const part = parts[Math.min(PARTS - 1, Math.floor(source[base + slot]! * PARTS / tokensRead))]!;
        part.from = Math.min(part.from, slot);
        part.to = slot + 1;
        part.open += 1 - shielded[base + slot]!;
      }
      for (const array of [partStart, partEnd, partQuota]) array.fill(0, head * PARTS, (head + 1) * PARTS);
      const wanted = quota[head]!;
      if (wanted >= end[head]! - start[head]! || taken >= wanted) continue;
      let spread = wanted - taken - Math.ceil((wanted - taken) * free);
      const order = [...parts.keys()].filter((part) => parts[part]!.open > 0);
      order.sort((a, b) => parts[a]!.open - parts[b]!.open);
      order.forEach((part, i) => {
        const { from, to, open } = parts[part]!, share = Math.min(open, Math.ceil(spread / (order.length - i)));
        partStart[head * PARTS + part] = from;
        partEnd[head * PARTS + part] = to;
        partQuota[head * PARTS + part] = to - from - open + share;
        spread -= share;
      });
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["one slot, none, and few", [1, 0, 50], [1, 0, 40], 20, 0.5],
      ["ragged", [1001, 300, 700, 64], [500, 100, 699, 36], 20, 0.5],
      ["all is spread", [1001, 300], [500, 290], 7, 0],
      ["nothing is spread", [1001, 300], [500, 290], 7, 1],
      ["one part", [333], [100], 1, 0.5],
    ] as const).map(([name, lengths, quota, PARTS, free]) => {
      const { stride, start, end, place } = ragged([...lengths]);
      // tokens thin out towards the front, and some slots stand for several
      const isMemory = (i: number) => i % 40 === 7;
      const sources = lengths.map((n) =>
        Array.from(
          { length: n },
          (_, i) => isMemory(i) ? MEMORY_SOURCE : 2400 - Math.floor((n - i) ** 2 * 2400 / n ** 2),
        )
      );
      const marks = lengths.map((n) =>
        Array.from({ length: n }, (_, i) => i < 4 || i >= n - 32 || isMemory(i) ? 1 : 0)
      );
      const lists = lengths.length * PARTS;
      return {
        name,
        buffers: {
          source: Int32Array.from(place(sources, 5)),
          shielded: Uint32Array.from(place(marks, 1)),
          start,
          end,
          quota: Uint32Array.from(quota),
          partStart: new Uint32Array(lists).fill(9),
          partEnd: new Uint32Array(lists).fill(9),
          partQuota: new Uint32Array(lists).fill(9),
        },
        values: { heads: lengths.length, stride, tokensRead: 2401, free, PARTS },
      };
    }),
});
