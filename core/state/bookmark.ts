/** A place in a memory to come back to: each of several questions is asked as if it were the only one. */
import type { Reader } from "../reader.ts";
import { readingArrays } from "./reading_state.ts";

/** Remembers what stands in memory. @returns what forgets all that was written since */
export function bookmark(reader: Reader): () => void {
  const { cache, tokensRead, nextPosition, positions, evictedWritten } = reader, { start, live, room, sliding } = cache;
  const runs = [start, live, room].map((numbers) => [numbers, numbers.slice()] as const), aside = sliding?.facts;
  // rows of the document stay where they are, unless written ones are evicted: then keys may turn
  const moves = (reader.options.decodeBudget ?? Infinity) < Infinity;
  const copied = readingArrays(reader).filter(({ name }) => moves || name.startsWith("sliding."));
  const copies = copied.map(({ pieces }) => pieces.map((piece) => piece.slice()));
  return () => {
    Object.assign(reader, { tokensRead, nextPosition, positions, evictedWritten });
    for (const [numbers, before] of runs) numbers.set(before);
    if (aside) sliding!.restore(aside);
    const places = new Map(readingArrays(reader).map(({ name, pieces }) => [name, pieces]));
    copied.forEach(({ name }, i) => places.get(name)!.forEach((piece, j) => piece.set(copies[i]![j]! as never)));
  };
}
