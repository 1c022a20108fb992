/**
 * Quotas over several heads at once, without moving a score: what `across` in `core/allocate/across.ts` does for `ada`, `layer` and `global`.
 *
 * The heads of a group keep their slots above one rank, each at least what it has for sure and at most what it may get; so the rank is found by radix
 * selection, eight bits at a time, in which a head's count below a bucket is clamped to these bounds. Of the slots that have the rank itself, the first
 * heads get theirs, as slots are compared in the order of heads where scores are equal.
 *
 * `uniform` needs none of this: the quota is the budget, and `top_k` keeps what there is where it is less. `pyramid` depends on lengths only.
 *
 * Dispatches: eight, whatever the group; bytes: four times those of `quota_counts` and `quota_choose`.
 */
import type { Recording } from "../recording.ts";
import { COUNTS, quotaCounts } from "./quota_counts.ts";
import { quotaChoose } from "./quota_choose.ts";

export interface QuotaBuffers {
  /** [heads, stride]. */
  scores: GPUBuffer;
  /** [heads, stride]. */
  shielded: GPUBuffer;
  /** Of `protect`, [heads]. */
  guarded: GPUBuffer;
  start: GPUBuffer;
  end: GPUBuffer;
  /** For the while: `quotaScratch(heads)` says how large. */
  atLeast: GPUBuffer;
  prefix: GPUBuffer;
  /** Written, [heads]. */
  quota: GPUBuffer;
}

export interface QuotaValues {
  heads: number;
  /** Heads that compete: a layer's (`ada`, `layer`) or all (`global`). */
  together: number;
  stride: number;
  /** Slots per head on the mean. */
  budget: number;
  /** Most slots of one head; Infinity for no bound. */
  mostSlots: number;
  /** Slots that every head gets: `safeguard(budget, share)`. */
  floor: number;
}

/** Bytes that the choice needs for the while. */
export const quotaScratch = (heads: number) => ({ atLeast: 4 * COUNTS * heads, prefix: 4 * heads });

export function recordQuotas(recording: Recording, buffers: QuotaBuffers, values: QuotaValues): void {
  const { scores, shielded, guarded, start, end, atLeast, prefix, quota } = buffers;
  const { heads, together, stride, budget, floor: least } = values;
  const mostSlots = Math.min(values.mostSlots, 0xffffffff);
  for (let digit = 0; digit < 4; digit++) {
    quotaCounts.record(recording, { scores, shielded, start, end, prefix, atLeast }, {
      heads,
      together,
      stride,
      digit,
    });
    quotaChoose.record(recording, { atLeast, start, end, guarded, prefix, quota }, {
      heads,
      together,
      budget,
      mostSlots,
      least,
      digit,
    });
  }
}
