/** Slots that no policy may evict. */
import { RECENT, SINKS } from "./policy.ts";

/**
 * @param source token's index in the prompt of every slot of a head
 * @returns 1 for the sinks, the newest slots and those that stand for several tokens (`MEMORY_SOURCE`)
 */
export function protectedSlots(source: Int32Array, sinks = SINKS, recent = RECENT): Uint8Array {
  const live = source.length, slots = new Uint8Array(live);
  for (let slot = 0; slot < live; slot++) if (source[slot]! < sinks) slots[slot] = 1; // memory slots too
  slots.fill(1, Math.max(0, live - recent));
  return slots;
}

/** Slots in front whose token is one of the first `sinks`. */
export function leadingSinks(source: Int32Array, sinks = SINKS): number {
  let slot = 0;
  while (slot < source.length && source[slot]! >= 0 && source[slot]! < sinks) slot++;
  return slot;
}
