/** Keeps the written tokens inside their own budget: in blocks, because moving rows for every token would cost more than writing it. */
import { highest } from "../select/highest.ts";
import type { DecodeContext, DecodePolicy } from "../policy.ts";

/** Written tokens beyond the budget that trigger an eviction. */
export const DECODE_BLOCK = 16;

/** @returns per head ascending slot indices that stay: all that was read, and the best `budget` of the written slots */
export function evictWritten(policy: DecodePolicy, context: DecodeContext): Int32Array[] {
  const { cache, written, budget } = context;
  let ranked: Float32Array | null = null, best: Int32Array = new Int32Array(0);
  return policy.score!(context).map((scores, head) => {
    // heads that share their scores stand side by side
    if (scores !== ranked) best = highest(ranked = scores, budget);
    const read = cache.live[head]! - written, keep = new Int32Array(read + best.length);
    for (let slot = 0; slot < read; slot++) keep[slot] = slot;
    for (let i = 0; i < best.length; i++) keep[read + i] = read + best[i]!;
    return keep;
  });
}
