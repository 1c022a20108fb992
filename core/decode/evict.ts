/** Keeps the written tokens inside their own budget: in blocks, because moving rows for every token would cost more than writing it. */
import { highest } from "../select/topk.ts";
import type { DecodeContext, DecodePolicy } from "../policy.ts";

/** Written tokens beyond the budget that trigger an eviction. */
export const DECODE_BLOCK = 16;

/**
 * @param budget written slots that stay
 * @returns per head ascending slot indices that stay, or null when nothing is due
 */
export function evictWritten(policy: DecodePolicy, context: DecodeContext, budget: number): Int32Array[] | null {
  const { cache, firstSource } = context;
  const first = firstWrittenSlot(cache.sources(0), firstSource);
  if (cache.live[0]! - first < budget + DECODE_BLOCK) return null;
  const scores = policy.score!(context);
  return scores.map((row, head) => {
    const from = cache.live[head]! - row.length, written = highest(row, budget);
    const keep = new Int32Array(from + written.length);
    for (let slot = 0; slot < from; slot++) keep[slot] = slot;
    for (let i = 0; i < written.length; i++) keep[from + i] = from + written[i]!;
    return keep;
  });
}

/** Written slots stand behind all others, in their order. */
export function firstWrittenSlot(source: Int32Array, firstSource: number): number {
  let slot = source.length;
  while (slot > 0 && source[slot - 1]! >= firstSource) slot--;
  return slot;
}
