/** The beginning of a document's bytes, which decides what it is. */
import { SNIFFED_BYTES } from "../document_kind.ts";

/** The same bytes, with `SNIFFED_BYTES` of them (or all) at least in the first piece; empty pieces are left out. */
export async function* withHead(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let head: Uint8Array[] | null = [];
  let held = 0;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (head === null) {
      yield chunk;
      continue;
    }
    // A copy: the source may use its buffer again.
    head.push(chunk.slice());
    held += chunk.length;
    if (held < SNIFFED_BYTES) continue;
    yield concat(head, held);
    head = null;
  }
  if (head !== null && held > 0) yield concat(head, held);
}

/** The encoding that a byte order mark names; null without one of UTF-16. */
export function utf16Of(head: Uint8Array): "utf-16le" | "utf-16be" | null {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  return head[0] === 0xfe && head[1] === 0xff ? "utf-16be" : null;
}

/** One behind the other. */
export function concat(pieces: Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
