/**
 * CriticalKV (arXiv 2502.03805): keeps what bounds the change of a head's output, not of its attention. Half of the quota goes to the highest scores, so
 * that most of the attention is certainly kept; the rest to the highest score × ‖v W_O‖₁, what a slot can move in the output. Differs from kvpress:
 * protected slots stand outside of all rescaling. Where scores can be negative (geometry of keys), the head's lowest counts as zero.
 */
import type { Select, SelectContext } from "../policy.ts";
import { highest } from "./highest.ts";

/** Score of a slot that the first stage took. */
const TAKEN = 3.4028234663852886e38;

/**
 * @param firstStage share of the quota that scores alone decide, protected slots included (paper: 0.5)
 * @param epsilon added to every score, so that unattended slots of great value norm can stay
 */
export const critical = (firstStage = 0.5, epsilon = 1e-4): Select => ({
  name: "critical",
  needs: { valueNorms: true },
  keep(scores, context) {
    if (context.quota >= scores.length) return highest(scores, context.quota);
    const { final, taken } = twoStages(scores, context, firstStage, epsilon);
    return highest(final, context.quota, taken);
  },
});

/** Scores after both stages, with the largest float where the first took a slot, and 1 for these slots. */
export function twoStages(
  scores: Float32Array,
  { quota, protectedSlots, valueNorm }: SelectContext,
  firstStage = 0.5,
  epsilon = 1e-4,
): { final: Float32Array; taken: Uint8Array } {
  const taken = protectedSlots.slice();
  let guarded = 0, lowest = 0;
  for (let slot = 0; slot < scores.length; slot++) {
    guarded += protectedSlots[slot]!;
    if (scores[slot]! < lowest && scores[slot] !== -Infinity) lowest = scores[slot]!;
  }
  const first = Math.min(quota, Math.max(guarded, 1, Math.trunc(quota * firstStage)));
  for (const slot of highest(scores, first, protectedSlots)) taken[slot] = 1;
  const final = new Float32Array(scores.length);
  for (let slot = 0; slot < scores.length; slot++) {
    final[slot] = taken[slot] ? TAKEN : (scores[slot]! - lowest + epsilon) * valueNorm[slot]!;
  }
  return { final, taken };
}
