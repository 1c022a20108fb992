/**
 * DefensiveKV (arXiv 2510.13334): prepares for the worst query instead of the mean one. Every row is averaged over 5 neighbours and brought back to its mass, the
 * maximum over rows and heads of the group is taken (inside the graph: aggregation `defensive`), no slot counts less than the head's mean, and value
 * norms weigh in. Slots that hold most of the mean attention are certain to stay.
 *
 * Differs from the published code: the recent window is the reader's (the newest slots, protected) and not the probe's; its mass is measured inside it
 * (the code sums as many slots before it, see the fixture's `code_mass`); a token's value norms are compared over the heads of a layer when it is read,
 * because later its slots are gone in some of them; scores that are no attention take part as if they were its mass, the lowest counting as zero.
 */
import type { KvCache } from "../cache.ts";
import type { Aggregate, Scores } from "../policy.ts";
import { highest } from "../select/highest.ts";

/** @param certain share of the mean attention whose slots stay, that of the recent window included (paper: 0.9) */
export const defensive = (certain = 0.9): Aggregate => ({
  name: "defensive",
  rows: ["defensive", "mean"],
  needs: { valueNorms: true },
  attributes: ["normShare"],
  score(evidence, context) {
    const { cache, budget, protectedSlots } = context, { layers, kvHeads } = cache.shape;
    const worst = evidence.score?.map(fromZero) ?? evidence.defensive!, mean = evidence.score ? worst : evidence.mean!;
    const out: Scores = new Array(cache.heads);
    for (let layer = 0; layer < layers; layer++) {
      const heads = Array.from({ length: kvHeads }, (_, h) => layer * kvHeads + h);
      shareNorms(cache, heads);
      const before = heads.map((head) => recentFrom(protectedSlots[head]!));
      const old = heads.map((head, i) => mean[head]!.subarray(0, before[i]));
      const windowMass = evidence.score ? scoreOfWindow(worst, heads, before) : 1 - meanOf(old.map(sum));
      const scaled = heads.map((head, i) => {
        const floored = atLeastMean(worst[head]!.subarray(0, before[i]));
        const share = cache.attribute("normShare", head);
        for (let slot = 0; slot < floored.length; slot++) floored[slot]! *= share[slot]!;
        return floored;
      });
      let top = 0;
      for (const row of scaled) for (let slot = 0; slot < row.length; slot++) top = Math.max(top, row[slot]!);
      heads.forEach((head, i) => {
        const whole = new Float32Array(worst[head]!.length).fill(top);
        whole.set(scaled[i]!);
        const window = whole.length - before[i]!;
        const sure = certainSlots(old[i]!, certain - windowMass, Math.max(0, budget - window));
        for (const slot of sure) whole[slot] = top;
        out[head] = whole;
      });
    }
    return out;
  },
});

/** Every slot of a head raised to the head's mean, in a new array. @param worst [slots] */
export function atLeastMean(worst: Float32Array): Float32Array {
  const mean = sum(worst) / worst.length;
  return worst.map((value) => Math.max(value, mean));
}

/** Each head's part in the sum of the heads' norms, slot by slot. @param norms per head of a layer [slots], the same tokens in all of them */
export function normShares(norms: Float32Array[]): Float32Array[] {
  return norms.map((row) =>
    row.map((norm, slot) => {
      let total = 0;
      for (const other of norms) total += other[slot]!;
      return total > 0 ? norm / total : 1 / norms.length;
    })
  );
}

/**
 * The slots of highest mean attention that together hold no more than a share of it.
 * @param mean [slots] attention, of any sum
 * @param share of their sum
 * @param most slots at most
 * @returns ascending slot indices
 */
export function certainSlots(mean: Float32Array, share: number, most: number): Int32Array {
  const sorted = mean.slice().sort(), wanted = share * sum(mean);
  let count = 0, held = 0;
  for (let i = sorted.length - 1; i >= 0 && count < most; i--, count++) {
    held += sorted[i]!;
    if (!(held < wanted)) break;
  }
  return highest(mean, count);
}

/** Gives the slots that came since the last time their share of the layer's value norms: in all heads they are the same tokens, at the end. */
function shareNorms(cache: KvCache, heads: number[]): void {
  const shares = heads.map((head) => cache.attribute("normShare", head));
  const first = shares[0]!;
  let fresh = 0;
  while (fresh < first.length && first[first.length - 1 - fresh] === 0) fresh++;
  if (fresh === 0) return;
  const newest = normShares(heads.map((head) => cache.attribute("valueNorm", head).slice(-fresh)));
  // zero would mean: not known yet
  shares.forEach((share, i) => share.set(newest[i]!.map((value) => Math.max(value, 1e-30)), share.length - fresh));
}

/** Where the protected slots at the end of a head begin. */
function recentFrom(protectedSlots: Uint8Array): number {
  let from = protectedSlots.length;
  while (from > 0 && protectedSlots[from - 1]) from--;
  return from;
}

function scoreOfWindow(scores: Scores, heads: number[], before: number[]): number {
  return meanOf(heads.map((head, i) => {
    const total = sum(scores[head]!);
    return total > 0 ? 1 - sum(scores[head]!.subarray(0, before[i])) / total : 0;
  }));
}

/** Scores as masses: the lowest becomes zero where it is negative. */
function fromZero(scores: Float32Array): Float32Array {
  let lowest = 0;
  for (let slot = 0; slot < scores.length; slot++) if (scores[slot]! < lowest) lowest = scores[slot]!;
  return lowest < 0 ? scores.map((value) => value - lowest) : scores;
}

const meanOf = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

function sum(values: Float32Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
