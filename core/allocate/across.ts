/** One budget for the heads of a group: the highest scores win, wherever they are. What `ada`, `layer` and `global` share. */
import type { Scores, StageContext } from "../policy.ts";
import { highest } from "../select/highest.ts";

/**
 * Counts how many slots each head of a group gets when the highest scores of all of them stay. A head's protected slots come first, and fill its
 * floor; a head never gets more than `context.mostSlots`, and what it would have had beyond goes to the others.
 * @param scores per head [live slots]; compared as they are, so heads must score in one unit
 * @param heads the group: indices of heads
 * @param floor slots that every head gets at least (fewer where it has fewer), protected ones included
 * @param quotas per head; those of the group are written, `budget` on the mean
 */
export function across(
  scores: Scores,
  heads: readonly number[],
  { budget, mostSlots, protectedSlots }: StageContext,
  floor: number,
  quotas: Int32Array,
): void {
  let slots = 0;
  for (const head of heads) slots += scores[head]!.length;
  const pool = new Float32Array(slots), owner = new Int32Array(slots);
  let open = budget * heads.length, filled = 0;
  for (const head of heads) {
    const row = scores[head]!, guarded = protectedSlots[head]!, most = Math.min(row.length, mostSlots);
    const sure = Math.min(most, Math.max(count(guarded), floor));
    quotas[head] = sure;
    open -= sure;
    // what competes: the head's best slots up to the most it may get, without those it has for sure
    const best = highest(row, most, guarded), had = highest(row, sure, guarded);
    for (let i = 0, at = 0; i < best.length; i++) {
      if (best[i] === had[at]) at++;
      else {
        pool[filled] = row[best[i]!]!;
        owner[filled++] = head;
      }
    }
  }
  for (const winner of highest(pool.subarray(0, filled), Math.max(0, open))) quotas[owner[winner]!]!++;
}

/** A head's floor in `ada` and `global`: a share of the mean budget, one slot at least (kvpress). */
export const safeguard = (budget: number, share: number): number =>
  share > 0 ? Math.max(1, Math.trunc(budget * share)) : 0;

/** How many slots are marked. */
export function count(marks: Uint8Array): number {
  let sum = 0;
  for (let slot = 0; slot < marks.length; slot++) sum += marks[slot]!;
  return sum;
}

/** Indices of the heads of each layer. */
export const headsOfLayers = ({ cache: { shape } }: StageContext): number[][] =>
  Array.from(
    { length: shape.layers },
    (_, layer) => Array.from({ length: shape.kvHeads }, (_, h) => layer * shape.kvHeads + h),
  );
