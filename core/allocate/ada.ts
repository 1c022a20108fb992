/**
 * AdaKV (arXiv 2407.11550): every layer gets the same, and its heads compete for it. Each head keeps a safeguard, then the highest scores of all heads
 * of the layer stay, so heads that attend to many slots get more than heads that attend to few. Differs from kvpress: heads really hold different numbers
 * of slots, nothing is masked; protected slots count as the highest; no head passes the trained positions.
 */
import type { Allocate } from "../policy.ts";
import { across, headsOfLayers, safeguard } from "./across.ts";

/** @param share of the mean budget that every head keeps whatever the others score, 0 to 1 (paper and kvpress: 0.2) */
export const ada = (share = 0.2): Allocate => ({
  name: "ada",
  quotas(scores, context) {
    const quotas = new Int32Array(scores.length), floor = safeguard(context.budget, share);
    for (const heads of headsOfLayers(context)) across(scores, heads, context, floor, quotas);
    return quotas;
  },
});
