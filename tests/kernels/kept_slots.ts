/** Which slots two readings of the same text kept, and by how little another choice would have been theirs too. */
import type { Policy } from "../../core/policy.ts";

/** Scores that a compaction on the CPU chose by, per head by the slot's token. */
export type Scored = Map<number, number>[];

/** The policy, and what its selection was asked since `scored` was emptied. */
export function watched(policy: Policy): { policy: Policy; scored: Scored } {
  const scored: Scored = [];
  const keep: Policy["select"]["keep"] = (scores, context) => {
    scored.push(new Map(Array.from(context.source, (token, slot) => [token, scores[slot]!])));
    return policy.select.keep(scores, context);
  };
  return { policy: { ...policy, select: { ...policy.select, keep } }, scored };
}

/** How much better the best of `gone` was than the worst of `came`, of the largest score; 0 where there is nothing of either. */
export function gapBetween(scores: Map<number, number>, gone: number[], came: number[]): number {
  if (gone.length === 0 || came.length === 0) return 0;
  const largest = Math.max(...Array.from(scores.values()).filter(Number.isFinite).map(Math.abs));
  const score = (token: number) => scores.get(token)!;
  return (Math.max(...gone.map(score)) - Math.min(...came.map(score))) / largest;
}

/** Source tokens that only one of them has, each as often as it has it more often. Centroid slots of one head all have the same source. */
export function difference(
  theirs: ArrayLike<number>,
  mine: ArrayLike<number>,
): { onlyTheirs: number[]; onlyMine: number[] } {
  const more = new Map<number, number>();
  for (const token of Array.from(theirs)) more.set(token, (more.get(token) ?? 0) + 1);
  for (const token of Array.from(mine)) more.set(token, (more.get(token) ?? 0) - 1);
  const onlyTheirs: number[] = [], onlyMine: number[] = [];
  for (const [token, count] of more) {
    for (let i = 0; i < Math.abs(count); i++) (count > 0 ? onlyTheirs : onlyMine).push(token);
  }
  return { onlyTheirs, onlyMine };
}
