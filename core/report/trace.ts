/** What a report needs to know of a reading beside its record: collected on the way, a few bytes a token. */
import type { Places } from "../text/places.ts";

export interface Trace {
  /** After every chunk: tokens read so far, slots per head before and after what was evicted. */
  chunks: { tokens: number; before: number; after: number }[];
  /** Ids of the prompt's tokens as they were read; empty where a saved state is asked, whose text is what it still knows. */
  tokens: number[];
  /** When the question came: source tokens of every head's live slots, and where the document stands in the prompt. */
  kept: Int32Array[];
  layers: number;
  document: { first: number; end: number };
  places: Places | null;
  /** Tokens that are known, where `tokens` is empty: their indices in the prompt, ascending, and ids. */
  known: { sources: Int32Array; tokens: Int32Array } | null;
}

export const emptyTrace = (): Trace => ({
  chunks: [],
  tokens: [],
  kept: [],
  layers: 1,
  document: { first: 0, end: 0 },
  places: null,
  known: null,
});
