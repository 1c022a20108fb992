/**
 * `core/select/critical.ts`: half of the quota to the highest scores, the rest to the highest score × value norm.
 *
 * Dispatches: four; bytes: those of `critical_scores`, `mark` and two of `top_k`.
 */
import { criticalScores } from "./critical_scores.ts";
import { mark } from "./mark.ts";
import type { Recording } from "../recording.ts";
import { recordTopK, type SelectionBuffers, type SelectionShape } from "./selection.ts";

export interface CriticalBuffers extends SelectionBuffers {
  /** ‖v W_O‖₁, [heads, stride]. */
  valueNorm: GPUBuffer;
  /** For the while: [heads, stride] each, and [heads]. */
  final: GPUBuffer;
  marked: GPUBuffer;
  first: GPUBuffer;
}

/** @param options as `critical`'s */
export function recordCritical(
  recording: Recording,
  buffers: CriticalBuffers,
  shape: SelectionShape,
  { firstStage = 0.5, epsilon = 1e-4 } = {},
): void {
  const { scores, valueNorm, shielded, guarded, start, end, quota, kept, count, final, marked, first } = buffers;
  criticalScores.record(recording, { scores, valueNorm, start, end, quota, guarded, final, first }, {
    ...shape,
    share: firstStage,
    epsilon,
  });
  recordTopK(recording, { ...buffers, quota: first }, shape);
  mark.record(recording, { shielded, start, end, kept, first: start, count, marked }, { ...shape, runs: 1 });
  recordTopK(recording, { ...buffers, scores: final, shielded: marked }, shape);
}
