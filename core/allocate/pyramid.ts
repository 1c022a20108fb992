/**
 * PyramidKV (arXiv 2406.02069): lower layers get more slots than higher ones, linearly, because attention is spread widely at first and narrows towards
 * the end. Layer budgets are kvpress's; the prompt's length is what was read so far, so that the pyramid grows steeper chunk by chunk until it has its
 * full slope. Differs: where the smallest layer would get less than its protected slots, kvpress gives every layer the same; here the slope is
 * gentler instead, else a long document would begin as a pyramid and go on without one.
 */
import type { Allocate, StageContext } from "../policy.ts";
import { count } from "./across.ts";

/** @param beta mean budget over the smallest layer's (paper and kvpress: 20) */
export const pyramid = (beta = 20): Allocate => ({
  name: "pyramid",
  quotas(scores, { cache, budget, mostSlots, tokensRead, protectedSlots }) {
    const live = Int32Array.from(scores, (row) => row.length), least = Int32Array.from(protectedSlots, count);
    return pyramidQuotas(live, least, cache.shape, { budget, mostSlots, tokensRead }, beta);
  },
});

/**
 * The quotas, which depend on no score: where the scores are on a GPU, the lengths are known here all the same.
 * @param live slots per head
 * @param least protected slots per head
 */
export function pyramidQuotas(
  live: Int32Array,
  least: Int32Array,
  { layers, kvHeads }: { layers: number; kvHeads: number },
  { budget, mostSlots, tokensRead }: Pick<StageContext, "budget" | "mostSlots" | "tokensRead">,
  beta = 20,
): Int32Array {
  const window = Math.max(1, ...least), slope = Math.max(1, Math.min(beta, budget / window));
  const perLayer = layerBudgets(tokensRead, budget, layers, window, slope);
  const quotas = live.map((_, head) => perLayer[Math.floor(head / kvHeads)]!);
  const most = live.map((slots) => Math.min(slots, mostSlots));
  return settle(quotas, least, most, budget * live.length);
}

/**
 * Slots per head of every layer, as kvpress's PyramidKVPress computes them.
 * @param tokens of the prompt
 * @param budget slots per head on the mean over the layers
 * @param window slots that every head must hold; no layer leaves out fewer of the prompt
 */
export function layerBudgets(tokens: number, budget: number, layers: number, window: number, beta: number): number[] {
  let smallest = budget / beta, largest = 2 * budget - smallest;
  if (largest >= tokens - window) {
    largest = tokens - window;
    smallest = 2 * budget - largest;
  }
  const valid = tokens >= largest && largest >= smallest && smallest >= window;
  const step = valid && layers > 1 ? (largest - smallest) / (layers - 1) : 0;
  return Array.from(
    { length: layers },
    (_, layer) => valid ? roundHalfEven(largest - layer * step) : Math.max(1, roundHalfEven(budget)),
  );
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value), rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** Brings quotas between `least` and `most` and their sum to `total`, or as near as they allow, in equal shares and the first heads first. */
export function settle(quotas: Int32Array, least: Int32Array, most: Int32Array, total: number): Int32Array {
  let missing = total;
  for (let head = 0; head < quotas.length; head++) {
    quotas[head] = Math.max(least[head]!, Math.min(most[head]!, quotas[head]!));
    missing -= quotas[head]!;
  }
  while (missing !== 0) {
    const grows = missing > 0, limit = grows ? most : least;
    const open: number[] = [];
    for (let head = 0; head < quotas.length; head++) if (quotas[head] !== limit[head]) open.push(head);
    if (open.length === 0) break;
    const share = Math.max(1, Math.floor(Math.abs(missing) / open.length));
    for (const head of open) {
      const change = Math.min(share, Math.abs(missing), Math.abs(limit[head]! - quotas[head]!));
      quotas[head] = quotas[head]! + (grows ? change : -change);
      missing -= grows ? change : -change;
    }
  }
  return quotas;
}
