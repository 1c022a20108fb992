/** GPU forms of `core/aggregate/`: how do many query rows become one score per slot? */
import { MAX_RADIUS } from "../../core/aggregate/max.ts";
import { MEAN_KERNEL } from "../../core/aggregate/mean.ts";
import { MAXPOOL_RADIUS } from "../../core/aggregate/mean_maxpool.ts";
import { defensiveFacts, FACTS } from "../aggregate/defensive_facts.ts";
import { defensiveScores } from "../aggregate/defensive_scores.ts";
import { layerMean } from "../aggregate/layer_mean.ts";
import { poolScores } from "../aggregate/pool_scores.ts";
import type { Compaction, GpuEvidence } from "./compaction.ts";

/** @returns scores [heads, stride] */
type Score = (compaction: Compaction, evidence: GpuEvidence) => GPUBuffer;

/** Mass averaged over so many neighbours on either side, or the largest of them. */
export const pooled =
  (which: "max" | "mean", RADIUS: number, largest: boolean): Score =>
  ({ memory: { slots }, shape: { heads, stride }, recording }, evidence) => {
    const scores = evidence.score ?? evidence[which]!, out = slots.perSlot("score");
    poolScores.record(recording, { scores, start: slots.start, end: slots.end, pooled: out }, {
      heads,
      stride,
      RADIUS,
      LARGEST: Number(largest),
    });
    return out;
  };

/** Share of the mean attention whose slots stay (paper). */
const CERTAIN = 0.9;

/** By the variant's name. */
export const aggregateForms: Record<string, Score> = {
  max: pooled("max", MAX_RADIUS, true),
  mean: pooled("mean", (MEAN_KERNEL - 1) / 2, false),
  "mean-maxpool": pooled("mean", MAXPOOL_RADIUS, true),
  "mean-unpooled": (_, evidence) => evidence.score ?? evidence.mean!,
  none: (_, evidence) => evidence.score ?? evidence.max!,
  "layer-mean": ({ memory: { slots }, shape: { heads, kvHeads, stride }, recording }, evidence) => {
    const means = slots.perSlot("score"), { source, start, end } = slots, mass = evidence.score ?? evidence.mean!;
    layerMean.record(recording, { mass, source, start, end, means }, { heads, kvHeads, stride });
    return means;
  },
  defensive: ({ memory: { slots }, shape: { heads, kvHeads, stride }, moment: { budget }, recording }, evidence) => {
    const { start, end } = slots, shielded = slots.perSlot("shielded"), share = slots.perSlot("attribute.normShare");
    const worst = evidence.score ?? evidence.defensive!, mean = evidence.score ?? evidence.mean!;
    const facts = slots.array("defensive.facts", 4 * FACTS * heads), scores = slots.perSlot("score");
    defensiveFacts.record(recording, { worst, mean, share, shielded, start, end, facts }, {
      heads,
      stride,
      SCORES: Number(evidence.score !== undefined),
    });
    const numbers = { heads, kvHeads, stride, budget, certain: CERTAIN };
    defensiveScores.record(recording, { worst, mean, share, facts, start, end, scores }, numbers);
    return scores;
  },
};
