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
  cache.gather(keep);
  if (positions === "compact") {
    for (let head = 0; head < cache.heads; head++) {
      const live = cache.live[head]!, rope = ropes.of(Math.floor(head / kvHeads));
      cache.turn(head, live, rope, (slot) => slot < sinks ? slot : longest - live + slot);
    }
  }
  cache.layOut();
  if (positions !== "compact") return nextPosition;
  cache.sliding?.movedBy(nextPosition - longest);
  return longest;
}
