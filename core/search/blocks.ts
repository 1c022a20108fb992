/** Documents as blocks of a few words each, with the place of each: what a search counts terms in. */
import { readText, type Source } from "../text/document.ts";
import type { Place } from "../text/places.ts";

/** Bytes of a block, about: they measure text alike in scripts of one byte a letter and of three. */
export const BLOCK_BYTES = 96;

export interface Block {
  text: string;
  place: Place;
  /** Number of the document; a passage lies in one. */
  document: number;
  /** Bytes of text before it, in all documents. */
  at: number;
}

/** A word, or a piece of what has no spaces, with the white space behind it. */
const ATOM = /\S{1,16}\s*|\s+/gu;

/**
 * @param sources each is iterated once
 * @throws {InputError} for a document that cannot be read
 */
export async function* blocks(sources: readonly Source[]): AsyncGenerator<Block> {
  let at = 0;
  for (const [document, source] of sources.entries()) {
    let place: Place = { source: source.name }, text = "", bytes = 0, beginsAt = place;
    const block = (): Block => {
      const whole = { text, place: beginsAt, document, at };
      at += bytes;
      text = "";
      bytes = 0;
      return whole;
    };
    for await (const { text: piece, ...marks } of readText(source, () => {})) {
      if (text !== "" && Object.keys(marks).length > 0) yield block();
      place = { ...place, ...marks };
      for (const [atom] of piece.matchAll(ATOM)) {
        if (text === "") beginsAt = place;
        text += atom;
        bytes += utf8Bytes(atom);
        if (bytes >= BLOCK_BYTES) yield block();
      }
    }
    if (text !== "") yield block();
  }
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    bytes += code < 0x80 ? 1 : code < 0x800 || (code & 0xf800) === 0xd800 ? 2 : 3;
  }
  return bytes;
}
