/**
 * ChunkKV (arXiv 2502.00299): whole runs of neighbouring tokens stay or go, by their mean score, so that what is kept can be read. Of the last run that
 * fits only in part, the best stretch stays. Differs from kvpress: each head chooses its own runs (kvpress: one choice per layer) and gets exactly
 * its quota; runs are cut by place in the prompt, so they are the same at every compaction.
 */
import type { Select } from "../policy.ts";
import { highest } from "./highest.ts";

/** @param length tokens of a run (paper: 10; kvpress: 20) */
export const chunks = (length = 20): Select => ({
  name: "chunks",
  keep(scores, { quota, protectedSlots, source }) {
    const n = scores.length, kept = protectedSlots.slice();
    let open = quota;
    for (let slot = 0; slot < n; slot++) open -= kept[slot]!;
    if (quota >= n || open <= 0) return highest(scores, quota, protectedSlots);

    // slots stand in document order, so the open slots of a run are neighbours among the open ones
    const slots = new Int32Array(n), starts: number[] = [];
    let filled = 0;
    for (let slot = 0, run = -1; slot < n; slot++) {
      if (kept[slot]) continue;
      const here = Math.floor(source[slot]! / length);
      if (here !== run) starts.push(filled);
      slots[filled++] = slot;
      run = here;
    }
    starts.push(filled);
    const means = new Float32Array(starts.length - 1);
    for (let run = 0; run < means.length; run++) {
      means[run] = total(scores, slots, starts[run]!, starts[run + 1]!) / (starts[run + 1]! - starts[run]!);
    }
    for (const run of ranked(means)) {
      const from = starts[run]!, to = starts[run + 1]!, room = Math.min(open, to - from);
      const best = room === to - from ? from : bestStretch(scores, slots, from, to, room);
      for (let i = best; i < best + room; i++) kept[slots[i]!] = 1;
      open -= room;
      if (open === 0) break;
    }
    const keep = new Int32Array(quota);
    for (let slot = 0, at = 0; slot < n; slot++) if (kept[slot]) keep[at++] = slot;
    return keep;
  },
});

/** Indices of the values, highest first, of equal ones the earlier; NaN last. */
function ranked(values: Float32Array): number[] {
  const rank = (index: number) => Number.isNaN(values[index]) ? -Infinity : values[index]!;
  return [...values.keys()].sort((a, b) => rank(a) < rank(b) ? 1 : rank(a) > rank(b) ? -1 : a - b);
}

/** Where the `room` neighbours with the highest sum begin, among `slots` from `from` to `to`. */
function bestStretch(scores: Float32Array, slots: Int32Array, from: number, to: number, room: number): number {
  let best = from, most = -Infinity;
  for (let first = from; first + room <= to; first++) {
    const sum = total(scores, slots, first, first + room);
    if (sum > most) [best, most] = [first, sum];
  }
  return best;
}

function total(scores: Float32Array, slots: Int32Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += scores[slots[i]!]!;
  return sum;
}
