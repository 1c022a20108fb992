/**
 * All heads of all layers compete for one budget: the highest scores stay wherever they are, after each head's safeguard. So do the layer variant of
 * DefensiveKV (arXiv 2510.13334) and KVzip (arXiv 2505.23416), and as they do, scores are compared as they are: a slot's share of a query's attention is
 * the same unit in every layer and head. Scores of other units (norms of keys) can be combined with it, but layers whose numbers are larger then win.
 * Differs: both papers have no safeguard; without it, a head can be left with nothing but its protected slots.
 */
import type { Allocate } from "../policy.ts";
import { across, safeguard } from "./across.ts";

/** @param share of the mean budget that every head keeps whatever the others score, 0 to 1 */
export const global = (share = 0.2): Allocate => ({
  name: "global",
  quotas(scores, context) {
    const quotas = new Int32Array(scores.length);
    across(scores, [...scores.keys()], context, safeguard(context.budget, share), quotas);
    return quotas;
  },
});
