/** Tokens → chunks, cut by token count and never by arrival time. */

/** @param size tokens per chunk; the last may be shorter */
export async function* chunks(tokens: AsyncIterable<number[]>, size: number): AsyncGenerator<number[]> {
  let pending: number[] = [];
  for await (const piece of tokens) {
    for (const token of piece) {
      pending.push(token);
      if (pending.length === size) {
        yield pending;
        pending = [];
      }
    }
  }
  if (pending.length > 0) yield pending;
}
