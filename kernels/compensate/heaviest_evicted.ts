/**
 * The share of all heads' evicted slots that has the most attention mass: a radix selection over heads, 8 bits a step from the highest, then a list for
 * every head. The counterpart of `heaviestEvicted` in `core/compensate/heads.ts`.
 */
import { chooseDigit } from "./choose_digit.ts";
import { heaviestSlots } from "./heaviest_slots.ts";
import { massHistogram } from "./mass_histogram.ts";
import type { Recording } from "../recording.ts";

export interface HeaviestBuffers {
  /** [heads, stride] */
  mass: GPUBuffer;
  evicted: GPUBuffer;
  /** [heads] */
  evictedCount: GPUBuffer;
  /** u32 [256], all zeros; they are zeros again afterwards. */
  histogram: GPUBuffer;
  /** u32 [heads, 256], for a while. */
  headHistogram: GPUBuffer;
  /** u32 [2], for a while. */
  chosen: GPUBuffer;
  /** What it finds: ascending slots [heads, stride], how many [heads]. */
  flowing: GPUBuffer;
  flowingCount: GPUBuffer;
}

/**
 * 9 dispatches for all heads. Bytes: evicted slots × (5 × 8 + 4), and heads × 9 KiB of histograms.
 * @param share 0 to 1, counted in 65,536ths
 */
export function recordHeaviestEvicted(
  recording: Recording,
  of: HeaviestBuffers,
  { heads, stride, share }: { heads: number; stride: number; share: number },
): void {
  for (let digit = 0; digit < 4; digit++) {
    massHistogram.record(recording, of, { heads, stride, digit });
    chooseDigit.record(recording, of, { digit, parts: Math.round(share * 65536) });
  }
  heaviestSlots.record(recording, of, { heads, stride });
}
