/** What decode policies do with the attention of a written token: they sum it up in the slot attribute `momentum`. */
import type { DecodeContext } from "../policy.ts";
import type { KvCache } from "../cache.ts";

/** momentum ← decay · momentum + mass, for the written slots of every head. @param mass [heads, written] */
export function accumulate({ cache, written }: DecodeContext, mass: Float32Array, decay: number): void {
  for (let head = 0, at = 0; head < cache.heads; head++) {
    const momentum = newest(cache, head, written);
    for (let slot = 0; slot < written; slot++, at++) momentum[slot] = decay * momentum[slot]! + mass[at]!;
  }
}

/**
 * As `accumulate`, with the mean over the heads of a layer, which then agree on what they evict. This runs for every written token: plain loops over
 * neighbours, and the sums are made once per layer.
 * @param mass [heads, written], changed
 */
export function accumulateByLayer({ cache, written }: DecodeContext, mass: Float32Array, decay: number): void {
  const { kvHeads } = cache.shape, share = 1 / kvHeads;
  for (let first = 0; first < cache.heads; first += kvHeads) {
    const from = first * written, to = from + written;
    for (let head = 1; head < kvHeads; head++) {
      for (let sum = from, at = from + head * written; sum < to; sum++, at++) mass[sum]! += mass[at]!;
    }
    const momentum = newest(cache, first, written);
    for (let slot = 0, at = from; slot < written; slot++, at++) {
      momentum[slot] = decay * momentum[slot]! + share * mass[at]!;
    }
    for (let head = 1; head < kvHeads; head++) newest(cache, first + head, written).set(momentum);
  }
}

/** `momentum` of a head's written slots, a view. */
export function newest(cache: KvCache, head: number, written: number): Float32Array {
  return cache.attribute("momentum", head).subarray(cache.live[head]! - written);
}

/** Per head a copy of `momentum`, in which the last `recent` written slots stand above all others. */
export function scoresOf({ cache, written }: DecodeContext, recent = 0): Float32Array[] {
  return Array.from({ length: cache.heads }, (_, head) => {
    const scores = newest(cache, head, written).slice();
    scores.fill(Infinity, Math.max(0, written - recent));
    return scores;
  });
}

/** As `scoresOf`, one array for all heads of a layer: what `evictWritten` is given once it ranks once. */
export function scoresByLayer(context: DecodeContext, recent = 0): Float32Array[] {
  const { kvHeads } = context.cache.shape, scores = scoresOf(context, recent);
  return scores.map((_, head) => scores[head - head % kvHeads]!);
}
