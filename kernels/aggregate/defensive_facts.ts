/**
 * What DefensiveKV's scores need to know of every head, as sums and maxima over its slots: the first of two kernels that are the counterpart of
 * `defensive` in `core/aggregate/defensive.ts`, behind `attention_mass` with MEAN and DEFENSIVE (`defensive_scores.ts` is the second).
 *
 * One dispatch for all heads of all layers. Bytes: B = 4 · live slots of all heads · (3 to 4 arrays, two of them twice).
 */
import { maskedRuns } from "../cases/defensive_cases.ts";
import source from "./defensive_facts.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";

/** Numbers of a head. */
export const FACTS = 5;

export const defensiveFacts = defineKernel({
  name: "defensive_facts",
  source,
  bindings: {
    /** Evidence `defensive`, [all heads, stride]; with SCORES the scores of a probe that does not ask with attention. */
    worst: "read",
    /** Evidence `mean`; with SCORES the scores again. */
    mean: "read",
    /** Slot attribute `normShare`. */
    share: "read",
    /** 1 for slots that must stay. */
    shielded: "read",
    /** Live slots are start..end, [all heads]. */
    start: "read",
    end: "read",
    /**
     * [all heads, 5]: old slots, those before the protected run that ends the head; what share of the mean attention is not on them; the mean of worst
     * over them; the largest of max(worst, that mean) * share; with SCORES the smallest score, where it is negative, which counts as zero: else 0.
     */
    facts: "write",
  },
  params: { heads: "u32", stride: "u32" },
  constants: ["SCORES"],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ worst, mean, share, shielded, start, end, facts }, { heads, stride, SCORES }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!, until = head * stride + end[head]!;
      let recent = until, least = 0;
      while (recent > from && shielded[recent - 1]) recent--;
      if (SCORES) { for (let at = from; at < until; at++) least = Math.min(least, worst[at]!); }
      let old = 0, rest = 0, sum = 0, top = 0;
      for (let at = from; at < recent; at++) old += mean[at]! - least;
      for (let at = recent; at < until; at++) rest += mean[at]! - least;
      for (let at = from; at < recent; at++) sum += worst[at]! - least;
      const level = recent > from ? sum / (recent - from) : 0;
      for (let at = from; at < recent; at++) top = Math.max(top, Math.max(worst[at]! - least, level) * share[at]!);
      const window = !SCORES ? 1 - old : old + rest > 0 ? rest / (old + rest) : 0;
      facts.set([recent - from, window, level, top, least], head * FACTS);
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-5, reason: "sums over a head's slots in single precision, as trees" },
  cases: () =>
    maskedRuns().map(({ name, heads, stride, SCORES, buffers }) => ({
      name,
      buffers: { ...buffers, facts: new Float32Array(heads * FACTS) },
      values: { heads, stride, SCORES },
    })),
});
