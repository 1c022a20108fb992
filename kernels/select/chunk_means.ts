/**
 * Chunk means: every slot gets the mean score of its run of neighbouring tokens. One step of `chunks.ts`.
 *
 * Bytes: 24 × Σ live at most; dispatches: one.
 */
import { defineKernel } from "../kernel.ts";
import source from "./chunk_means.wgsl" with { type: "text" };
import { runCases } from "./chunk_cases.ts";

export const chunkMeans = defineKernel({
  name: "chunk_means",
  source,
  bindings: {
    /** Higher means keep, [heads, stride]. */
    scores: "read",
    /** 1 for slots that must stay, and belong to no run, [heads, stride]. */
    shielded: "read",
    /** Token's index in the prompt, ascending but for protected slots without a place (< 0), [heads, stride]. */
    source: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** Written for live slots that are not protected, [heads, stride]. */
    means: "write",
  },
  params: { heads: "u32", stride: "u32" },
  /** Tokens of a run. */
  constants: ["LENGTH"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ scores, shielded, source, start, end, means }, { heads, stride, LENGTH }) {
    for (let head = 0; head < heads; head++) {
      const runs = new Map<number, number[]>();
      for (let slot = head * stride + start[head]!; slot < head * stride + end[head]!; slot++) {
        if (shielded[slot]) continue;
        const run = Math.floor(source[slot]! / LENGTH);
        runs.set(run, [...runs.get(run) ?? [], slot]);
      }
      for (const slots of runs.values()) {
        const mean = slots.reduce((sum, slot) => sum + scores[slot]!, 0) / slots.length;
        for (const slot of slots) means[slot] = Number.isNaN(mean) ? -Infinity : mean;
      }
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "a sum and a quotient in single precision" },
  cases: () =>
    runCases().map(({ name, values, buffers }) => {
      const { scores, shielded, source, start, end } = buffers;
      return {
        name,
        buffers: { scores, shielded, source, start, end, means: new Float32Array(scores.length).fill(3) },
        values,
      };
    }),
});
