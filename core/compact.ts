/** Moves the kept rows of every head together and, under compact positions, rotates their keys to where they now stand. */
import type { KvCache } from "./cache.ts";
import type { Positions } from "./record.ts";
import type { LayerRopes } from "./rope.ts";
import { SINKS } from "./policy.ts";

/**
 * @param keep per head ascending slot indices
 * @param nextPosition RoPE index of the token that would come next
 * @param sinks slots that stand at 0… under compact positions
 * @returns RoPE index of the token that comes next now
 */
export function compact(
  cache: KvCache,
  keep: Int32Array[],
  positions: Positions,
  ropes: LayerRopes,
  nextPosition: number,
  sinks = SINKS,
): number {
  const { kvHeads } = cache.shape;
  const longest = keep.reduce((most, slots) => Math.max(most, slots.length), 0);
  for (let head = 0; head < cache.heads; head++) {
    const slots = keep[head]!, start = cache.start[head]!;
    // runs of neighbouring slots move as one block
    for (let to = 0; to < slots.length;) {
      const from = slots[to]!;
      let length = 1;
      while (to + length < slots.length && slots[to + length] === from + length) length++;
      cache.move(start + from, start + to, length);
      to += length;
    }
    if (positions === "compact") {
      const rope = ropes.of(Math.floor(head / kvHeads));
      cache.turn(head, slots.length, rope, (slot) => slot < sinks ? slot : longest - slots.length + slot);
    }
    cache.live[head] = slots.length;
  }
  cache.layOut();
  if (positions !== "compact") return nextPosition;
  cache.sliding?.movedBy(nextPosition - longest);
  return longest;
}
