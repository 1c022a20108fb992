/** Plain text: UTF-8, UTF-16 with a byte order mark, or what its letters say, decoded as it arrives. Little is held beyond one piece. */
import { InputError } from "../../errors.ts";
import { notText, NUL_REASON, SNIFFED_BYTES } from "../document_kind.ts";
import type { Format } from "./format.ts";
import { encoded } from "./encoding.ts";
import { utf16Of } from "./head.ts";

/**
 * Line ends stay as they are. Invalid bytes become U+FFFD and are counted in one warning at the end.
 * @throws {InputError} for what is empty or binary
 */
export const readPlain: Format = async function* (bytes, { name, onWarning }) {
  let decoder: PieceDecoder | null = null, replaced = 0, blank = true, empty = true;
  for await (const { bytes: piece, encoding, guessed } of encoded(textOnly(bytes, name))) {
    empty = false;
    if (decoder?.encoding !== encoding) {
      // what came before is ASCII and holds nothing back
      replaced += decoder?.replaced() ?? 0;
      decoder = pieceDecoder(encoding);
      if (guessed) {
        onWarning(
          `${name} is not UTF-8 and read as ${encoding}, by its letters: iconv -f ENCODING -t UTF-8 settles it`,
        );
      }
    }
    const text = decoder.push(piece);
    if (text.includes("\0")) throw new InputError(`${name} ${NUL_REASON}`);
    if (blank) blank = !/\S/.test(text);
    if (text !== "") yield { text };
  }
  const last = decoder?.finish() ?? "";
  if (last !== "") yield { text: last };
  if (blank && last === "") {
    throw new InputError(`${name} ${empty ? "is empty" : "has only white space"}: a document needs text`);
  }
  replaced += decoder?.replaced() ?? 0;
  if (replaced > 0) {
    onWarning(
      `${name}: ${replaced} invalid ${replaced === 1 ? "sequence" : "sequences"} replaced by U+FFFD; ` +
        "text in another encoding reads right after iconv -f ENCODING -t UTF-8",
    );
  }
};

/** The same pieces, once the first one is seen to be text. */
async function* textOnly(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const piece of bytes) {
    const reason = first && !utf16Of(piece) ? notText(name, piece.subarray(0, SNIFFED_BYTES)) : null;
    if (reason !== null) throw new InputError(`${name} ${reason}`);
    first = false;
    yield piece;
  }
}

interface PieceDecoder {
  readonly encoding: string;
  push(bytes: Uint8Array): string;
  finish(): string;
  /** How many U+FFFD stand for invalid bytes. */
  replaced(): number;
}

function pieceDecoder(encoding: string): PieceDecoder {
  const decoder = new TextDecoder(encoding);
  const genuine = encoding === "utf-8" ? markCounter() : () => 0;
  let marks = 0;
  let own = 0;
  const counted = (text: string): string => {
    for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) marks++;
    return text;
  };
  return {
    encoding,
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
