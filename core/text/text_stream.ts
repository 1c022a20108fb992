/** Text of token ids that arrive one by one, as UTF-8 that never breaks a character. */

/** Gives the text of ids as soon as it is certain. */
export interface TextStream {
  /** Text that `id` completes: "" while a character's bytes are still missing, and for control tokens. */
  push(id: number): string;
  /** U+FFFD when the last character stayed incomplete, else "". The stream then starts anew. */
  finish(): string;
}

/** How a vocabulary spells bytes: GPT-2's printable stand-ins, or "▁" for a space and `<0x0A>` for a lone byte. */
export type Spelling = "byteLevel" | "sentencePiece";

const encoder = new TextEncoder();

/** Stand-in character of each byte in GPT-2's byte-level vocabulary. */
const CHARACTER_OF_BYTE: readonly string[] = (() => {
  let standIn = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : standIn++);
  });
})();
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = new Map(CHARACTER_OF_BYTE.map((c, byte) => [c, byte]));

/** How a byte-level vocabulary spells a byte. */
export function characterOfByte(byte: number): string {
  return CHARACTER_OF_BYTE[byte]!;
}

/** Bytes of one vocabulary entry. */
export function pieceBytes(piece: string, spelling: Spelling): Uint8Array {
  if (spelling === "sentencePiece") {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
    return byte ? Uint8Array.of(parseInt(byte[1]!, 16)) : encoder.encode(piece.replaceAll("▁", " "));
  }
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = BYTE_OF_CHARACTER.get(character);
    // An entry outside the byte alphabet was added as plain text.
    if (byte === undefined) return encoder.encode(piece);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/**
 * Joins the bytes of ids to text. `dropFirstSpace`: SentencePiece models write a space before the first word of a text,
 * which is no part of it.
 */
export function textStream(bytesOf: (id: number) => Uint8Array, dropFirstSpace: boolean): TextStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let atStart = dropFirstSpace;
  return {
    push(id) {
      const text = decoder.decode(bytesOf(id), { stream: true });
      if (!atStart || text === "") return text;
      atStart = false;
      return text.startsWith(" ") ? text.slice(1) : text;
    },
    finish() {
      atStart = dropFirstSpace;
      return decoder.decode();
    },
  };
}
