/**
 * Half of the budget for the newest written tokens, half for those that gathered the most attention since they were written (H2O, arXiv 2306.14048).
 * Per KV head, the mean over its group; the paper sums per query head, and over the prompt too, which is left alone here.
 */
import type { DecodePolicy } from "../policy.ts";
import { accumulate, scoresOf } from "./observe.ts";

export const h2o = (): DecodePolicy => ({
  name: "h2o",
  evicts: true,
  attributes: ["momentum"],
  observes: Infinity,
  observe: (context, mass) => accumulate(context, mass, 1),
  score: (context) => scoresOf(context, Math.floor(context.budget / 2)),
});
