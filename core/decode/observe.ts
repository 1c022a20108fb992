/** What decode policies do with the attention of a written token: they sum it up in the slot attribute `momentum`. */
import type { DecodeContext } from "../policy.ts";
import type { KvCache } from "../cache.ts";

/** momentum ← decay · momentum + mass, for the written slots of every head. @param mass [heads, written] */
export function accumulate({ cache, written }: DecodeContext, mass: Float32Array, decay: number): void {
  for (let head = 0; head < cache.heads; head++) {
    const momentum = newest(cache, head, written), from = head * written;
    for (let slot = 0; slot < written; slot++) momentum[slot] = decay * momentum[slot]! + mass[from + slot]!;
  }
}

/** Gives every head the mean of its layer, in place: then all heads of a layer evict the same slots. @param mass [heads, written] */
export function averageOverLayer(mass: Float32Array, { cache, written }: DecodeContext): Float32Array {
  const { kvHeads } = cache.shape, width = kvHeads * written;
  for (let layer = 0; layer < mass.length; layer += width) {
    for (let slot = layer; slot < layer + written; slot++) {
      let sum = 0;
      for (let head = slot; head < layer + width; head += written) sum += mass[head]!;
      sum /= kvHeads;
      for (let head = slot; head < layer + width; head += written) mass[head] = sum;
    }
  }
  return mass;
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
