/** Tokens → chunks, cut by token count and never by arrival time. */

export interface Chunk {
  chunk: number[];
  /** Nothing comes after it. */
  last: boolean;
}

/** @param size tokens per chunk; the last may be shorter */
export async function* chunks(tokens: AsyncIterable<number[]>, size: number): AsyncGenerator<Chunk> {
  let pending: number[] = [];
  for await (const piece of tokens) {
    for (const token of piece) {
      // a full chunk waits for the token after it, so that it is known whether it is the last
      if (pending.length === size) {
        yield { chunk: pending, last: false };
        pending = [];
      }
      pending.push(token);
    }
  }
  if (pending.length > 0) yield { chunk: pending, last: true };
}
