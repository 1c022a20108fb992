/**
 * Cache merging (CaM, ICML 2024; kvpress's CAMPress): an evicted value is added in equal parts to the next kept slots, by chance: the more surely, the
 * more attention it had beside them.
 *   p_i = min(1, a_i / mean of a over the next m kept),  v_j += v_i / m for these with probability p_i
 * Measured far worse than dropping when a chunk is evicted at once (`bench/compensate.ts`): it was made for one eviction per written token, and adds
 * values without weighing them against what is there.
 *
 * Differs: attention is the probe's instead of a sum over all steps, every evicted slot may be merged, the draws come from the token's number, so a run
 * can be repeated, and sums do not grow over many compactions: a value never becomes longer than the longest of those that it is made of.
 */
import type { Compensate } from "../policy.ts";
import { addBounded, evictedSlots, longest, massOf } from "./heads.ts";

interface CamOptions {
  /** Kept slots that share an evicted value (kvpress: 32). */
  m?: number;
  /** Uniform in [0, 1) for a head's token. */
  draw?: (head: number, token: number) => number;
  /** False: values may grow. */
  bounded?: boolean;
}

export const cam = ({ m = 32, draw = uniform, bounded = true }: CamOptions = {}): Compensate => ({
  name: "cam",
  apply(context) {
    const { cache, keep } = context, { headDim } = cache.shape;
    for (let head = 0; head < cache.heads; head++) {
      const kept = keep[head]!, evicted = evictedSlots(cache.live[head]!, kept);
      const mass = massOf(context, head), values = cache.valueRows(head), source = cache.sources(head);
      // what neighbours receive differs by few: where a value's receivers begin it is added, behind their end taken away
      const steps = new Float64Array((kept.length + 1) * headDim);
      const limit = bounded ? longest(values, evicted, headDim) : Infinity;
      let next = 0;
      for (const slot of evicted) {
        while (next < kept.length && kept[next]! < slot) next++;
        const end = Math.min(kept.length, next + m), receivers = end - next;
        let sum = 0;
        for (let k = next; k < end; k++) sum += mass[kept[k]!]!;
        // mass that is zero on both sides gives NaN, and no merge
        const chance = Math.min(1, mass[slot]! / (sum / receivers));
        if (receivers === 0 || !(draw(head, source[slot]!) < chance)) continue;
        for (let d = 0, from = slot * headDim; d < headDim; d++, from++) {
          const part = values[from]! / receivers;
          steps[next * headDim + d]! += part;
          steps[end * headDim + d]! -= part;
        }
      }
      for (let k = 0; k < kept.length; k++) {
        const at = k * headDim;
        if (k > 0) { for (let d = at; d < at + headDim; d++) steps[d]! += steps[d - headDim]!; }
        addBounded(values, kept[k]! * headDim, steps, at, 1, headDim, limit);
      }
      cache.rewrite(head, { values });
    }
    return keep;
  },
});

/** A number in [0, 1) that only head and token decide (the finaliser of murmur3). */
export function uniform(head: number, token: number): number {
  let x = Math.imul(head + 1, 0x9e3779b1) ^ Math.imul(token + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}
