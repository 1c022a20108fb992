/** What encoding a plain text is in. Its beginning need not tell: a page of ASCII may come before the first other letter. */
import { analyse } from "chardet";
import { concat, utf16Of } from "./head.ts";

/** Bytes from the first one on that is not ASCII which decide: some hundred letters. */
const DECIDING = 4096;
/** Least certainty (of 100) that a guess is taken with. */
const LEAST_CERTAIN = 20;
/** A UTF-8 text may be damaged here and there: so many right letters make up for a wrong byte. */
const RIGHT_FOR_WRONG = 4;

const ESCAPE = 0x1b;

/** A text's bytes, from the first one on that is not ASCII, in an encoding; what comes before is ASCII in all of them. */
export interface Encoded {
  encoding: string;
  /** Nothing in the text says so. */
  guessed: boolean;
}

/**
 * Pieces of a text as they come, each with its encoding; the first ones, while nothing but ASCII has come, as UTF-8. The decision does not depend on where pieces
 * are cut.
 */
export async function* encoded(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Encoded & { bytes: Uint8Array }> {
  let decided: Encoded | null = null, held: Uint8Array[] = [], length = 0, first = true;
  const decide = function* () {
    const bytes = concat(held, length);
    decided = encodingOf(bytes.subarray(0, DECIDING));
    held = [];
    yield { ...decided, bytes };
  };
  for await (let piece of pieces) {
    const utf16 = first ? utf16Of(piece) : null;
    if (utf16) decided = { encoding: utf16, guessed: false };
    first = false;
    if (decided) {
      yield { ...decided as Encoded, bytes: piece };
      continue;
    }
    if (length === 0) {
      const at = piece.findIndex((byte) => byte >= 0x80 || byte === ESCAPE);
      const ascii = at < 0 ? piece : piece.subarray(0, at);
      if (at !== 0) yield { ...UTF8, bytes: ascii };
      if (at < 0) continue;
      piece = piece.subarray(at);
    }
    held.push(piece.slice()); // the source may use its buffer again
    length += piece.length;
    if (length >= DECIDING) yield* decide();
  }
  if (held.length > 0) yield* decide();
}

const UTF8: Encoded = { encoding: "utf-8", guessed: false };

/** @param sample begins with the first byte that is not ASCII (a page in English before it would drown its language), and may end within a letter */
function encodingOf(sample: Uint8Array): Encoded {
  const { right, wrong } = utf8Letters(sample);
  // escapes may also be a terminal's colours
  const iso2022 = right === 0 && wrong === 0;
  if (right > RIGHT_FOR_WRONG * wrong) return UTF8;
  for (const { name, confidence } of analyse(sample)) {
    if (iso2022 ? !name.startsWith("ISO-2022") : confidence < LEAST_CERTAIN || /^(UTF|ASCII)/.test(name)) continue;
    const encoding = known(name);
    if (encoding) return { encoding, guessed: true };
  }
  return UTF8;
}

/** The runtime's name of an encoding; null for one that it does not know. */
function known(name: string): string | null {
  try {
    return new TextDecoder(name).encoding;
  } catch {
    return null;
  }
}

/** Letters beyond ASCII that are right in UTF-8, and bytes that belong to none; what the end cuts off is neither. */
function utf8Letters(bytes: Uint8Array): { right: number; wrong: number } {
  let right = 0, wrong = 0;
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at]!;
    const more = byte < 0x80
      ? 0
      : byte >= 0xc2 && byte < 0xe0
      ? 1
      : byte >> 4 === 0xe
      ? 2
      : byte >= 0xf0 && byte < 0xf5
      ? 3
      : -1;
    if (at + more >= bytes.length) break;
    let follow = 0;
    while (follow < more && bytes[at + 1 + follow]! >> 6 === 2) follow++;
    if (more > 0 && follow === more) right++;
    else if (more !== 0) wrong++;
    at += more > 0 && follow === more ? more + 1 : 1;
  }
  return { right, wrong };
}
