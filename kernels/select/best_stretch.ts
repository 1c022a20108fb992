/**
 * Best stretch: of the run of tokens that the quota cut, the neighbours with the highest sum stay instead of the first ones. The last step of `chunks.ts`.
 *
 * Bytes: 16 × Σ count at most; dispatches: one.
 */
import { highest } from "../../core/select/highest.ts";
import source from "./best_stretch.wgsl" with { type: "text" };
import { runCases } from "./chunk_cases.ts";
import { chunkMeans } from "./chunk_means.ts";
import { defineKernel, EXACT } from "../kernel.ts";

export const bestStretch = defineKernel({
  name: "best_stretch",
  source,
  bindings: {
    /** Higher means keep, [heads, stride]. */
    scores: "read",
    /** 1 for slots that must stay, [heads, stride]. */
    shielded: "read",
    /** Token's index in the prompt, [heads, stride]. */
    source: "read",
    /** One past the last live slot, [heads]. */
    end: "read",
    /** Slots that stay, [heads]. */
    count: "read",
    /** Which they are by their runs' means, ascending, [heads, stride]. */
    kept: "write",
  },
  params: { heads: "u32", stride: "u32" },
  /** Tokens of a run. */
  constants: ["LENGTH"],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ scores, shielded, source, end, count, kept }, { heads, stride, LENGTH }) {
    for (let head = 0; head < heads; head++) {
      const base = head * stride, list = kept.subarray(base, base + count[head]!), stays = new Set(list);
      const runs = new Map<number, number[]>();
      for (let slot = Math.min(...list); slot < end[head]!; slot++) {
        if (shielded[base + slot]) continue;
        const run = Math.floor(source[base + slot]! / LENGTH);
        runs.set(run, [...runs.get(run) ?? [], slot]);
      }
      for (const slots of runs.values()) {
        const room = slots.filter((slot) => stays.has(slot)).length;
        if (room === 0 || room === slots.length) continue;
        let best = 0, most = -Infinity;
        for (let from = 0; from + room <= slots.length; from++) {
          const sum = slots.slice(from, from + room).reduce((all, slot) => all + scores[base + slot]!, 0);
          if (sum > most) [best, most] = [from, sum];
        }
        for (const slot of slots) stays.delete(slot);
        for (const slot of slots.slice(best, best + room)) stays.add(slot);
      }
      kept.set([...stays].sort((a, b) => a - b), base);
    }
  },
  tolerance: EXACT,
  cases: () =>
    runCases().map(({ name, quota, values, buffers }) => {
      const { scores, shielded, source, start, end } = buffers, { heads, stride } = values;
      const means = new Float32Array(scores.length),
        kept = new Uint32Array(scores.length),
        count = new Uint32Array(heads);
      chunkMeans.cpu({ scores, shielded, source, start, end, means }, values);
      for (let head = 0; head < heads; head++) {
        const from = head * stride + start[head]!, to = head * stride + end[head]!;
        const slots = highest(means.subarray(from, to), quota[head]!, Uint8Array.from(shielded.subarray(from, to)));
        kept.set(slots.map((slot) => slot + start[head]!), head * stride);
        count[head] = slots.length;
      }
      return { name, buffers: { scores, shielded, source, end, count, kept }, values };
    }),
});
