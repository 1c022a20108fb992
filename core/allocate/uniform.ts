/** Every head of every layer gets the budget. */
import type { Allocate } from "../policy.ts";

export const uniform = (): Allocate => ({
  name: "uniform",
  quotas: (scores, budget) => new Int32Array(scores.length).fill(budget),
});
