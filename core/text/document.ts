/** Documents: bytes from a file or pipe to text, as they arrive. Nothing is held beyond one piece. */
import { notText, NUL_REASON, SNIFFED_BYTES } from "./document_kind.ts";
import { InputError } from "../errors.ts";

/** One document as bytes: a file's or a pipe's. Iterated once, unless it is `repeatable`; nothing is held beyond one piece. */
export interface Source {
  name: string;
  /** Bytes when known before reading (files). */
  size?: number;
  /** Iterating it again reads it again from its start (files). */
  repeatable?: true;
  chunks: AsyncIterable<Uint8Array>;
}

/** The text of one document, to be iterated once. */
export interface DocumentText extends AsyncIterable<string> {
  readonly name: string;
  readonly type: "text" | "markdown";
  /** Bytes read so far; all of them once the iteration has ended. */
  readonly bytes: number;
}

/** Whether a file name says Markdown (`.md`, `.markdown`). */
export function isMarkdown(name: string): boolean {
  return /\.(md|markdown)$/i.test(name);
}

/**
 * Decodes a document as it arrives: UTF-8, or UTF-16 with a byte order mark. Line ends stay as they are. Invalid bytes
 * become U+FFFD and are counted in one warning at the end.
 * @throws {InputError} while iterating: a document that is empty, binary or of a type that must be converted first.
 */
export function readText(source: Source, onWarning: (message: string) => void): DocumentText {
  const text = {
    name: source.name,
    type: isMarkdown(source.name) ? "markdown" as const : "text" as const,
    bytes: 0,
    [Symbol.asyncIterator]: () => decode(source, (bytes) => text.bytes += bytes, onWarning),
  };
  return text;
}

async function* decode(
  { name, chunks }: Source,
  count: (bytes: number) => void,
  onWarning: (message: string) => void,
): AsyncGenerator<string, void> {
  let decoder: PieceDecoder | null = null;
  let blank = true;
  for await (const bytes of withHead(chunks, SNIFFED_BYTES)) {
    count(bytes.length);
    if (decoder === null) {
      const encoding = encodingOf(bytes);
      const reason = encoding === "utf-8" ? notText(name, bytes.subarray(0, SNIFFED_BYTES)) : null;
      if (reason !== null) throw new InputError(`${name} ${reason}`);
      decoder = pieceDecoder(encoding);
    }
    const text = decoder.push(bytes);
    if (text.includes("\0")) throw new InputError(`${name} ${NUL_REASON}`);
    if (blank) blank = !/\S/.test(text);
    if (text !== "") yield text;
  }
  const last = decoder?.finish() ?? "";
  if (last !== "") yield last;
  if (blank && last === "") {
    throw new InputError(`${name} ${decoder === null ? "is empty" : "has only white space"}: a document needs text`);
  }
  const replaced = decoder?.replaced() ?? 0;
  if (replaced > 0) {
    onWarning(
      `${name}: ${replaced} invalid ${replaced === 1 ? "sequence" : "sequences"} replaced by U+FFFD; ` +
        "text in another encoding reads right after iconv -f ENCODING -t UTF-8",
    );
  }
}

/** The same bytes, with at least `length` of them (or all) in the first piece; empty pieces are left out. */
async function* withHead(chunks: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array, void> {
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
    if (held < length) continue;
    yield concat(head, held);
    head = null;
  }
  if (head !== null && held > 0) yield concat(head, held);
}

function concat(pieces: Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

function encodingOf(head: Uint8Array): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
  return "utf-8";
}

interface PieceDecoder {
  push(bytes: Uint8Array): string;
  finish(): string;
  /** How many U+FFFD stand for invalid bytes. */
  replaced(): number;
}

function pieceDecoder(encoding: Encoding): PieceDecoder {
  const decoder = new TextDecoder(encoding);
  const genuine = encoding === "utf-8" ? markCounter() : () => 0;
  let marks = 0;
  let own = 0;
  const counted = (text: string): string => {
    for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) marks++;
    return text;
  };
  return {
    push(bytes) {
      own += genuine(bytes);
      return counted(decoder.decode(bytes, { stream: true }));
    },
    finish: () => counted(decoder.decode()),
    replaced: () => marks - own,
  };
}

/** Counts U+FFFD that the document itself spells (EF BF BD), across pieces. */
function markCounter(): (bytes: Uint8Array) => number {
  /** Bytes of the mark seen at the end of the last piece. */
  let seen = 0;
  return (bytes) => {
    let count = 0;
    let at = 0;
    while (at < bytes.length) {
      if (seen === 0) {
        at = bytes.indexOf(0xef, at);
        if (at < 0) break;
        seen = 1;
      } else if (bytes[at] === (seen === 1 ? 0xbf : 0xbd)) {
        if (++seen === 3) {
          count++;
          seen = 0;
        }
      } else {
        seen = 0;
        continue;
      }
      at++;
    }
    return count;
  };
}
