/** Every head of every layer gets the budget. */
import type { Allocate } from "../policy.ts";

export const uniform = (): Allocate => ({
  name: "uniform",
  quotas: (scores, { budget }) => Int32Array.from(scores, (row) => Math.min(budget, row.length)),
});
