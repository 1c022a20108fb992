/** Made-up results for the tests of tables, reports and the runner. */
import type { EvalResult } from "../../core/eval/result.ts";

export const costs = {
  chunks: 4,
  compactions: 2,
  prefillMs: 1000,
  policyMs: 200,
  kvBytes: 2 ** 20,
  peakLiveSlots: 700,
  wholeMs: 9000,
};

/** A result of `full` or, with a policy, of that. */
export function result(some: Partial<EvalResult>): EvalResult {
  const full = (some.policy ?? "full") === "full";
  return {
    key: JSON.stringify(some),
    task: "niah_single_2",
    metric: "all",
    length: 2000,
    contextTokens: 1990,
    index: 0,
    seed: 1,
    depth: 0.5,
    policy: "full",
    strategy: full ? null : "stream",
    budget: full ? null : "25%",
    budgetSlots: full ? 2020 : 498,
    protocol: full ? null : "aware",
    score: 1,
    answer: " 1234567.",
    answers: ["1234567"],
    known: null,
    kl: full ? 0 : 0.5,
    top1: full ? 1 : 0.75,
    hitRate: full ? 1 : 0.4,
    costs,
    ...some,
  };
}
