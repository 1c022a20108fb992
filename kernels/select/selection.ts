/** What every way to select reads and writes: which slots of all heads stay. */
import type { Recording } from "../recording.ts";
import { topK } from "./top_k.ts";

export interface SelectionBuffers {
  /** Higher means keep, [heads, stride]. */
  scores: GPUBuffer;
  /** 1 for slots that must stay, [heads, stride]. */
  shielded: GPUBuffer;
  /** How many must, [heads]. */
  guarded: GPUBuffer;
  /** Token's index in the prompt, [heads, stride]. */
  source: GPUBuffer;
  /** First live slot and one past the last, [heads]. */
  start: GPUBuffer;
  end: GPUBuffer;
  /** Slots to keep, [heads]. */
  quota: GPUBuffer;
  /** Written: ascending slots that stay, [heads, stride], and how many, [heads]. */
  kept: GPUBuffer;
  count: GPUBuffer;
}

export interface SelectionShape {
  heads: number;
  stride: number;
}

/** `core/select/topk.ts`: the highest scores of every head, and the last step of the other ways. One dispatch. */
export function recordTopK(recording: Recording, buffers: SelectionBuffers, { heads, stride }: SelectionShape): void {
  const { scores, shielded, start, end, quota, kept, count } = buffers;
  topK.record(recording, { scores, shielded, start, end, quota, kept, count }, { lists: heads, runs: 1, stride });
}
