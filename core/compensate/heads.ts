/** What compensating variants share: which slots a head loses, which of the others may receive, and the walk over all heads. */
import type { CompensateContext } from "../policy.ts";
import { type Likeness, type TopSimilar, TopSimilarGraph } from "../dense/top_similar.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import { highest } from "../select/highest.ts";

/** Ascending slots of a head that do not stay. @param keep ascending */
export function evictedSlots(live: number, keep: Int32Array): Int32Array {
  const evicted = new Int32Array(live - keep.length);
  for (let slot = 0, k = 0, at = 0; slot < live; slot++) {
    if (k < keep.length && keep[k] === slot) k++;
    else evicted[at++] = slot;
  }
  return evicted;
}

/** Slots of all heads that do not stay, ascending per head. */
export function allEvicted({ cache, keep }: CompensateContext): Int32Array[] {
  return keep.map((kept, head) => evictedSlots(cache.live[head]!, kept));
}

/** Of the slots that all heads lose, the share with the most attention mass, ascending per head: some heads have many of them and some none. */
export function heaviestEvicted(context: CompensateContext, share: number): Int32Array[] {
  const evicted = allEvicted(context);
  if (share === 1) return evicted;
  const all = new Float32Array(evicted.reduce((sum, slots) => sum + slots.length, 0));
  let at = 0;
  evicted.forEach((slots, head) => {
    const mass = massOf(context, head);
    for (const slot of slots) all[at++] = mass[slot]!;
  });
  const most = highest(all, Math.ceil(share * all.length));
  let from = 0, first = 0;
  return evicted.map((slots) => {
    let to = from;
    while (to < most.length && most[to]! < first + slots.length) to++;
    const chosen = most.slice(from, to);
    for (let i = 0; i < chosen.length; i++) chosen[i] = slots[chosen[i]! - first]!;
    from = to;
    first += slots.length;
    return chosen;
  });
}

/**
 * Slots that may receive what others knew: those that stay by their score. Protected ones do not: the sinks' values stand for "nothing here", and how
 * much attention the newest slots get is not known yet (measured: flow into them is worse than dropping).
 */
export function receivingSlots(keep: Int32Array, protectedSlots: Uint8Array): Int32Array {
  return keep.filter((slot) => protectedSlots[slot] === 0);
}

/** A head with what it loses. */
export interface LosingHead {
  head: number;
  /** [live, headDim]; what is changed is put back. */
  keys: Float32Array;
  values: Float32Array;
  evicted: Int32Array;
  receivers: Int32Array;
}

/**
 * Finds for every evicted slot the `m` receivers that are most like it, head by head, and hands each head to `use` as it comes. While one head is
 * used, the device already works on the next.
 * @param flowing evicted slots of every head that are looked at, ascending; default all
 */
export async function flowInto(
  context: CompensateContext,
  likeness: Likeness,
  m: number,
  use: (head: LosingHead, top: TopSimilar) => void,
  flowing: Int32Array[] = allEvicted(context),
): Promise<void> {
  const { engine, cache, keep, protectedSlots } = context;
  const graph = await TopSimilarGraph.open(engine, likeness, cache.shape.headDim);
  await oneAhead(cache.heads, (head) => {
    const evicted = flowing[head]!, receivers = receivingSlots(keep[head]!, protectedSlots[head]!);
    if (evicted.length === 0 || receivers.length === 0) return null;
    const losing = { head, keys: cache.keyRows(head), values: cache.valueRows(head), evicted, receivers };
    return graph.find(losing.keys, evicted, receivers, m).then((top) => {
      use(losing, top);
      cache.rewrite(head, losing);
    });
  });
}

/**
 * Attention mass of a head's slots as the probe saw it: the mean over its queries where the aggregate asked for that, else their maximum. Without an
 * attention probe every token weighs the same, and a slot as many as it stands for.
 */
export function massOf({ evidence, cache }: CompensateContext, head: number): Float32Array {
  const seen = (evidence.mean ?? evidence.defensive ?? evidence.max)?.[head];
  if (seen) return seen;
  const mass = new Float32Array(cache.live[head]!).fill(1);
  if (cache.has("logBias")) cache.attribute("logBias", head).forEach((bias, slot) => mass[slot] = Math.exp(bias));
  return mass;
}

/** Length of a row. */
export function norm(rows: Float32Array, at: number, headDim: number): number {
  let sum = 0;
  for (const end = at + headDim; at < end; at++) sum += rows[at]! * rows[at]!;
  return Math.sqrt(sum);
}

/** Length of the longest of some rows. */
export function longest(rows: Float32Array, slots: Int32Array, headDim: number): number {
  let most = 0;
  for (const slot of slots) most = Math.max(most, norm(rows, slot * headDim, headDim));
  return most;
}

/** Adds `factor` times a row to another, and shortens the sum to `limit` where it is longer than that and than the row was. */
export function addBounded(
  rows: Float32Array,
  at: number,
  added: Float32Array | Float64Array,
  from: number,
  factor: number,
  headDim: number,
  limit: number,
): void {
  const most = limit === Infinity ? limit : Math.max(limit, norm(rows, at, headDim));
  for (let d = 0; d < headDim; d++) rows[at + d]! += factor * added[from + d]!;
  const now = norm(rows, at, headDim);
  if (now > most) { for (let d = 0; d < headDim; d++) rows[at + d]! *= most / now; }
}
