/** Tokens of a document's pieces: none lies across a page's or section's beginning, so that it is known which one a token belongs to. */
import type { TextPiece } from "./formats/format.ts";
import type { TokenStream } from "./token_stream.ts";

export interface PieceTokens {
  /** What was held back of the text before a page or section that begins here. */
  before: number[];
  /** What begins here; null where the page and section go on. */
  place: Omit<TextPiece, "text"> | null;
  /** What is certain of the piece's own text. */
  tokens: number[];
}

export function pieceTokens(stream: TokenStream, { text, ...place }: TextPiece): PieceTokens {
  const begins = place.page !== undefined || place.section !== undefined;
  return { before: begins ? stream.finish() : [], place: begins ? place : null, tokens: stream.push(text) };
}
