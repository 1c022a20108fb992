/** How many tokens a document has, guessed while it is read: the live line's percentage and time left come from it. */
import { eachTime, type Source } from "../core/text/document.ts";

/** Bytes of one token before anything is known of the text; English prose has 4 to 4.5. */
const usualBytesPerToken = 4.3;

/** Watches sources as they are read. */
export interface TokenEstimate {
  sources: Source[];
  /** Tokens of everything, from the tokens forwarded so far; undefined for pipes. */
  total(done: number): number | undefined;
}

/** Counts what is taken from the sources: what was taken before a piece is asked for has been forwarded, but for a chunk. */
export function estimateTokens(sources: Source[]): TokenEstimate {
  const bytes = sources.reduce((sum, source) => sum + (source.size ?? NaN), 0);
  let taken = 0;
  let tokens = 0;
  /** Pieces that were taken before a token was known. */
  let early = 0;
  let settled: { bytes: number; tokens: number } | null = null;
  async function* counted(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      if (taken > 0 && tokens > 0) settled = { bytes: taken, tokens };
      if (tokens === 0) early++;
      taken += piece.length;
      yield piece;
    }
  }
  return {
    sources: sources.map((source) => ({ ...source, chunks: eachTime(() => counted(source.chunks)) })),
    total(done) {
      tokens = done;
      if (Number.isNaN(bytes)) return undefined;
      // all pieces were taken before a token was known: a document that is converted, whose bytes say little
      if (!settled && taken >= bytes && early > 1) return undefined;
      const bytesPerToken = settled ? settled.bytes / settled.tokens : usualBytesPerToken;
      return Math.max(done, Math.round(bytes / bytesPerToken));
    },
  };
}
