/**
 * DefensiveKV's scores: worst-case attention, at least the head's mean, weighted with value norms; slots that hold most of the mean attention, and the
 * recent ones, score as high as the layer's best. The second of two kernels that are the counterpart of `defensive` in `core/aggregate/defensive.ts`;
 * `certainSlots` and `atLeastMean` there are its references. `defensive_facts.ts` is the first.
 *
 * One dispatch for all heads of all layers. Bytes: B = 4 · live slots of all heads · 4, and 35 times the mean attention again, which a head's workgroup
 * finds in the GPU's cache.
 */
import { atLeastMean, certainSlots } from "../../core/aggregate/defensive.ts";
import { maskedRuns } from "../cases/defensive_cases.ts";
import { defensiveFacts, FACTS } from "./defensive_facts.ts";
import source from "./defensive_scores.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";

export const defensiveScores = defineKernel({
  name: "defensive_scores",
  source,
  bindings: {
    /** As in `defensive_facts`. */
    worst: "read",
    mean: "read",
    share: "read",
    /** What `defensive_facts` wrote. */
    facts: "read",
    /** Live slots are start..end, [all heads]. */
    start: "read",
    end: "read",
    /** [all heads, stride]; other slots than the live ones stay as they are. */
    scores: "write",
  },
  params: {
    heads: "u32",
    /** Heads of a layer. */
    kvHeads: "u32",
    stride: "u32",
    /** Slots per head that shall be left, on average: the recent and the certain ones are no more. */
    budget: "u32",
    /** Share of the mean attention whose slots stay, that of the recent slots included. */
    certain: "f32",
  },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ worst, mean, share, facts, start, end, scores }, { heads, kvHeads, stride, budget, certain }) {
    for (let layer = 0; layer < heads; layer += kvHeads) {
      const of = Array.from(
        { length: kvHeads },
        (_, h) => facts.subarray(FACTS * (layer + h), FACTS * (layer + h + 1)),
      );
      const window = of.reduce((sum, [, share]) => sum + share!, 0) / kvHeads;
      const top = of.reduce((most, head) => Math.max(most, head[3]!), 0);
      of.forEach(([old, , , , least], h) => {
        const head = layer + h, from = head * stride + start[head]!, live = end[head]! - start[head]!;
        const row = (all: typeof mean) => Float32Array.from(all.subarray(from, from + old!), (x) => x - least!);
        const whole = new Float32Array(live).fill(top);
        whole.set(atLeastMean(row(worst)).map((x, slot) => x * share[from + slot]!));
        const room = Math.max(0, budget - (live - old!));
        for (const slot of certainSlots(row(mean), certain - window, room)) whole[slot] = top;
        scores.set(whole, from);
      });
    }
  },
  tolerance: { absolute: 0, relative: 1e-5, reason: "products in single precision, and the facts' sums" },
  cases: () =>
    maskedRuns().flatMap(({ name, heads, kvHeads, stride, SCORES, buffers }) => {
      const facts = new Float32Array(heads * FACTS);
      defensiveFacts.cpu({ ...buffers, facts }, { heads, stride, SCORES });
      const { worst, mean, share, start, end } = buffers;
      return [[400, 0.9], [60, 0.9], [10, 0.9], [400, 0.05], [400, 3]].map(([budget, certain]) => ({
        name: `${name}, budget ${budget}, ${certain} certain`,
        buffers: { worst, mean, share, facts, start, end, scores: new Float32Array(heads * stride).fill(-7) },
        values: { heads, kvHeads, stride, budget: budget!, certain: Math.fround(certain!) },
      }));
    }),
});
