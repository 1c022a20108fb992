/** What every format gives: text in pieces, with the marks of pages and sections. */
import { InputError } from "../../errors.ts";

export interface TextPiece {
  text: string;
  /** On the first piece of a page: its number, from 1 on. It holds from there on. */
  page?: number;
  /** On the first piece of a section: its heading. It holds from there on. */
  section?: string;
}

export interface FormatContext {
  /** The document's name, for messages. */
  name: string;
  onWarning(message: string): void;
}

/**
 * Text of a document's bytes.
 * @throws {InputError} for what cannot be read, in a sentence that begins with the name
 */
export type Format = (bytes: AsyncIterable<Uint8Array>, context: FormatContext) => AsyncIterable<TextPiece>;

/** A format that refuses documents in which nothing is written. @param is what such a document is, with its article */
export const withText = (is: string, format: Format): Format =>
  async function* (bytes, context) {
    let blank = true;
    for await (const piece of format(bytes, context)) {
      blank &&= piece.text.trim() === "";
      yield piece;
    }
    if (blank) throw new InputError(`${context.name} is ${is} without text: a document needs some`);
  };
