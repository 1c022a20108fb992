/**
 * Mean over probe rows and heads of a group, then the maximum over neighbouring slots: the pooling of SnapKV's own LongBench runs (arXiv 2404.14469)
 * and of Lookahead Q-Cache (arXiv 2505.20334).
 */
import type { Aggregate } from "../policy.ts";
import { maxPool } from "./max.ts";

/** Neighbours on each side: the papers' kernel of 7. */
export const MAXPOOL_RADIUS = 3;

/** @param radius neighbours on each side */
export const meanMaxpool = (radius = MAXPOOL_RADIUS): Aggregate => ({
  name: "mean-maxpool",
  rows: ["mean"],
  score: (evidence) => (evidence.score ?? evidence.mean!).map((row) => maxPool(row, radius)),
});
