/**
 * Cuts text into segments that can be tokenized alone, so that a text gives the same ids whole or in any pieces.
 *
 * A cut falls where nothing that a tokenizer joins can lie across it: before a space that follows a non-space, and after a
 * line feed between two non-spaces, unless {@link Cuts} says otherwise. Text without such places (one long word, Chinese without
 * line feeds, minified code) is cut every {@link SEGMENT_LIMIT} code units: there the ids may differ from a tokenizer that sees the
 * whole text, but memory and time stay bounded, and where the cuts fall depends on the text alone, never on its arrival.
 */

/** Longest segment in UTF-16 code units. */
export const SEGMENT_LIMIT = 1 << 20;

/** Where a tokenizer lets text be cut. */
export interface Cuts {
  /** Whether nothing joins the character that ends with this code unit with a space after it. */
  beforeSpace(code: number): boolean;
  /** Whether nothing joins a line feed with a non-space after it. */
  afterLineFeed: boolean;
}

/** Tokens of a text that arrives in pieces. */
export interface TokenStream {
  /** Ids of the text that later pieces can no longer change. */
  push(text: string): number[];
  /** Ids of what was held back. The stream then starts anew. */
  finish(): number[];
}

/** Appends the ids of one segment to `ids`. */
export type SegmentEncoder = (segment: string, ids: number[]) => void;

const SPACE = 0x20;
const LINE_FEED = 0x0a;
const SLASH = 0x2f;

/** Unicode's White_Space and JavaScript's `\s` (they differ in U+0085 and U+FEFF) together: fewer cuts, none wrong. */
function isSpace(code: number): boolean {
  if (code <= SPACE) return code === SPACE || (code >= 0x09 && code <= 0x0d);
  if (code < 0x85) return false;
  return code === 0x85 || code === 0xa0 || code === 0x1680 || (code >= 0x2000 && code <= 0x200a) || code === 0x2028 ||
    code === 0x2029 || code === 0x202f || code === 0x205f || code === 0x3000 || code === 0xfeff;
}

/** Finds where segments end, one code unit after the other. */
interface Cutter {
  /** Whether a segment ends before the next code unit, `code`. */
  next(code: number): boolean;
}

function cutter({ beforeSpace, afterLineFeed }: Cuts): Cutter {
  /** Code units of the segment so far, and the last two of them (-1 where there is none). */
  let length = 0, before = -1, second = -1;
  const endsBefore = (code: number): boolean => {
    if (length === 0) return false;
    if (code === SPACE && !isSpace(before) && beforeSpace(before)) return true;
    // "/" is excepted because newer patterns (o200k) take `\n/` into the punctuation before it.
    if (
      before === LINE_FEED && afterLineFeed && second !== -1 && code !== SLASH && !isSpace(code) && !isSpace(second)
    ) return true;
    // Not between the halves of a surrogate pair.
    return length >= SEGMENT_LIMIT ||
      (length === SEGMENT_LIMIT - 1 && code >= 0xd800 && code <= 0xdbff);
  };
  return {
    next(code) {
      const ends = endsBefore(code);
      if (ends) {
        length = 0;
        before = -1;
      }
      length++;
      second = before;
      before = code;
      return ends;
    },
  };
}

/** Ids of a whole text, segment by segment. */
export function encodeSegments(text: string, cuts: Cuts, encode: SegmentEncoder): number[] {
  const stream = segmentStream(cuts, encode), ids = stream.push(text);
  for (const id of stream.finish()) ids.push(id);
  return ids;
}

/** The same ids for a text that arrives in pieces; holds at most one segment. */
export function segmentStream(cuts: Cuts, encode: SegmentEncoder): TokenStream {
  /** Pieces of the segment whose end is not known yet; joined once, or many small pieces would be copied again and again. */
  let held: string[] = [];
  let ends = cutter(cuts);
  return {
    push(text) {
      const ids: number[] = [];
      let start = 0;
      for (let at = 0; at < text.length; at++) {
        if (!ends.next(text.charCodeAt(at))) continue;
        held.push(text.slice(start, at));
        encode(held.join(""), ids);
        held = [];
        start = at;
      }
      if (start < text.length) held.push(text.slice(start));
      return ids;
    },
    finish() {
      const ids: number[] = [];
      if (held.length > 0) encode(held.join(""), ids);
      held = [];
      ends = cutter(cuts);
      return ids;
    },
  };
}
