/**
 * `core/select/chunks.ts`: whole runs of neighbouring tokens stay or go, by their mean score. A slot that scores its run's mean is chosen with all of the
 * run, as equal scores go by place; only the run that the quota cuts must then be looked at again.
 *
 * Dispatches: three; bytes: those of `chunk_means`, `top_k` and `best_stretch`.
 */
import { bestStretch } from "./best_stretch.ts";
import { chunkMeans } from "./chunk_means.ts";
import type { Recording } from "../recording.ts";
import { recordTopK, type SelectionBuffers, type SelectionShape } from "./selection.ts";

export interface ChunksBuffers extends SelectionBuffers {
  /** For the while, [heads, stride]. */
  means: GPUBuffer;
}

/** @param length tokens of a run, as `chunks`'s */
export function recordChunks(
  recording: Recording,
  buffers: ChunksBuffers,
  shape: SelectionShape,
  length = 20,
): void {
  const { scores, shielded, source, start, end, kept, count, means } = buffers, of = { ...shape, LENGTH: length };
  chunkMeans.record(recording, { scores, shielded, source, start, end, means }, of);
  recordTopK(recording, { ...buffers, scores: means }, shape);
  bestStretch.record(recording, { scores, shielded, source, end, count, kept }, of);
}
