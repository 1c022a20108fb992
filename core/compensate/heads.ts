/** What compensating variants share: which slots a head loses, which of the others may receive, and the walk over all heads. */
import type { CompensateContext } from "../policy.ts";
import { SINKS } from "../policy.ts";
import { type Likeness, type TopSimilar, TopSimilarGraph } from "../dense/top_similar.ts";

/** Ascending slots of a head that do not stay. @param keep ascending */
export function evictedSlots(live: number, keep: Int32Array): Int32Array {
  const evicted = new Int32Array(live - keep.length);
  for (let slot = 0, k = 0, at = 0; slot < live; slot++) {
    if (k < keep.length && keep[k] === slot) k++;
    else evicted[at++] = slot;
  }
  return evicted;
}

/**
 * Slots that may receive what others knew: all that stay but the sinks, whose values stand for "nothing here" and are near zero.
 * @param source of the head's live slots
 */
export function receivingSlots(keep: Int32Array, source: Int32Array): Int32Array {
  return keep.filter((slot) => source[slot]! < 0 || source[slot]! >= SINKS);
}

/** A head with what it loses. */
export interface LosingHead {
  head: number;
  /** [live, headDim], views on the cache. */
  keys: Float32Array;
  values: Float32Array;
  evicted: Int32Array;
  receivers: Int32Array;
}

/**
 * Finds for every evicted slot the `m` receivers that are most like it, head by head, and hands each head to `use` as it comes. While one head is
 * used, the device already works on the next.
 */
export async function flowInto(
  { engine, cache, keep }: CompensateContext,
  likeness: Likeness,
  m: number,
  sinksReceive: boolean,
  use: (head: LosingHead, top: TopSimilar) => void,
): Promise<void> {
  const graph = await TopSimilarGraph.open(engine, likeness, cache.shape.headDim);
  let before: { head: LosingHead; top: Promise<TopSimilar> } | null = null;
  for (let head = 0; head < cache.heads; head++) {
    const kept = keep[head]!, evicted = evictedSlots(cache.live[head]!, kept);
    const receivers = sinksReceive ? kept : receivingSlots(kept, cache.sources(head));
    if (evicted.length === 0 || receivers.length === 0) continue;
    const losing = { head, keys: cache.keyRows(head), values: cache.valueRows(head), evicted, receivers };
    const next = { head: losing, top: graph.find(losing.keys, evicted, receivers, m) };
    if (before) use(before.head, await before.top);
    before = next;
  }
  if (before) use(before.head, await before.top);
}

/**
 * Attention mass of a head's slots as the probe saw it: the mean over its queries, else the maximum. Without an attention probe every token weighs the
 * same, and a slot with a bias as many as it stands for.
 */
export function massOf({ evidence, cache }: CompensateContext, head: number): Float32Array {
  const seen = (evidence.mean ?? evidence.defensive ?? evidence.max)?.[head];
  if (seen) return seen;
  const mass = new Float32Array(cache.live[head]!).fill(1);
  if (cache.has("logBias")) cache.attribute("logBias", head).forEach((bias, slot) => mass[slot] = Math.exp(bias));
  return mass;
}
