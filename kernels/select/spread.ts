/**
 * `core/select/spread.ts`: a share of the slots is spread evenly over equal parts of the document, the rest goes to the highest scores.
 *
 * Dispatches: four; bytes: those of `spread_parts`, `mark` and two of `top_k`.
 */
import { mark } from "./mark.ts";
import type { Recording } from "../recording.ts";
import { recordTopK, type SelectionBuffers, type SelectionShape } from "./selection.ts";
import { spreadParts } from "./spread_parts.ts";
import { topK } from "./top_k.ts";

export interface SpreadBuffers extends SelectionBuffers {
  /** For the while: [heads, stride], and [heads, parts] each. */
  marked: GPUBuffer;
  partStart: GPUBuffer;
  partEnd: GPUBuffer;
  partQuota: GPUBuffer;
  partCount: GPUBuffer;
}

/**
 * @param tokensRead tokens of the prompt read so far, head included
 * @param options as `spread`'s
 */
export function recordSpread(
  recording: Recording,
  buffers: SpreadBuffers,
  shape: SelectionShape,
  tokensRead: number,
  { floor = 0.5, parts = 20 } = {},
): void {
  const { scores, shielded, source, start, end, quota, kept, marked } = buffers;
  const { partStart, partEnd, partQuota, partCount } = buffers;
  spreadParts.record(recording, { source, shielded, start, end, quota, partStart, partEnd, partQuota }, {
    ...shape,
    tokensRead,
    free: 1 - floor,
    PARTS: parts,
  });
  topK.record(recording, {
    scores,
    shielded,
    start: partStart,
    end: partEnd,
    quota: partQuota,
    kept,
    count: partCount,
  }, { lists: shape.heads * parts, runs: parts, stride: shape.stride });
  mark.record(recording, { shielded, start, end, kept, first: partStart, count: partCount, marked }, {
    ...shape,
    runs: parts,
  });
  recordTopK(recording, { ...buffers, shielded: marked }, shape);
}
