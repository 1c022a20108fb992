/** Documents: bytes from a file or pipe to text, as they arrive, with the marks of pages and sections. */
import { formatOf } from "./formats/all.ts";
import type { TextPiece } from "./formats/format.ts";
import { gunzipped } from "./formats/gzip.ts";
import { withHead } from "./formats/head.ts";

export type { TextPiece } from "./formats/format.ts";

/** One document as bytes: a file's or a pipe's. Iterated once, unless it is `repeatable`; nothing is held beyond one piece. */
export interface Source {
  name: string;
  /** Bytes when known before reading (files). */
  size?: number;
  /** Iterating it again reads it again from its start (files). */
  repeatable?: true;
  chunks: AsyncIterable<Uint8Array>;
}

/** Pieces that are begun anew by every iteration, as `repeatable` sources are. */
export const eachTime = <T>(begin: () => AsyncIterator<T>): AsyncIterable<T> => ({ [Symbol.asyncIterator]: begin });

/** The text of one document, to be iterated once. */
export interface DocumentText extends AsyncIterable<TextPiece> {
  readonly name: string;
  /** "pdf", "text", … by what it holds; known once the iteration has begun. */
  readonly type: string;
  /** Bytes read so far; all of them once the iteration has ended. */
  readonly bytes: number;
  /** Pages met so far, in a document that has such. */
  readonly pages: number | undefined;
}

/**
 * Reads a document as it arrives. What it is, its first bytes decide; its name only tells kinds of text apart. What is packed by gzip is unpacked.
 * @throws {InputError} while iterating: a document that is empty, damaged, locked, or of a type that must be converted first.
 */
export function readText(source: Source, onWarning: (message: string) => void): DocumentText {
  const { name } = source;
  const document = {
    name,
    type: "text",
    bytes: 0,
    pages: undefined as number | undefined,
    async *[Symbol.asyncIterator]() {
      const pieces = withHead(gunzipped(counted(source.chunks, (bytes) => document.bytes += bytes), name));
      const { type, convert, bytes } = await formatOf(pieces, name);
      document.type = type;
      for await (const piece of convert(bytes, { name, onWarning })) {
        if (piece.page !== undefined) document.pages = Math.max(document.pages ?? 0, piece.page);
        yield piece;
      }
    },
  };
  return document;
}

async function* counted(chunks: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}
