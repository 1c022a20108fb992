/**
 * Cuts text into segments that can be tokenized alone, so that a text gives the same ids whole or in any pieces.
 *
 * A cut falls where no pre-tokenizer pattern of the supported models can match across it: before a space that follows a
 * non-space, and after a line feed between two non-spaces. Text without such places (one long word, Chinese, minified
 * code) is cut every {@link SEGMENT_LIMIT} code units: there the ids may differ from a tokenizer that sees the whole
 * text, but memory and time stay bounded, and where the cuts fall depends on the text alone, never on its arrival.
 */

/** Longest segment in UTF-16 code units. */
export const SEGMENT_LIMIT = 4096;

/** Tokens of a text that arrives in pieces. */
export interface TokenStream {
  /** Ids of the text that later pieces can no longer change. */
  push(text: string): number[];
  /** Ids of what was held back. The stream then starts anew. */
  finish(): number[];
}

/** Appends the ids of `text.slice(start, end)`, one segment, to `ids`. */
export type SegmentEncoder = (text: string, start: number, end: number, ids: number[]) => void;

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

/** Whether `text` may be cut before `at`; reads nothing before `start`, so that a stream need not keep it. */
function isSafeCut(text: string, start: number, at: number): boolean {
  const code = text.charCodeAt(at);
  const before = text.charCodeAt(at - 1);
  if (code === SPACE) return !isSpace(before);
  // "/" is excepted because newer patterns (o200k) take `\n/` into the punctuation before it.
  return before === LINE_FEED && at - 2 >= start && code !== SLASH && !isSpace(code) &&
    !isSpace(text.charCodeAt(at - 2));
}

/**
 * End of the segment that starts at `start`, or -1 where more text is needed to know it. `scanned`: no cut lies at or
 * before this index (what an earlier call has seen).
 */
function segmentEnd(text: string, start: number, scanned: number): number {
  const limit = start + SEGMENT_LIMIT;
  const last = Math.min(limit, text.length - 1);
  for (let at = Math.max(start, scanned) + 1; at <= last; at++) {
    if (isSafeCut(text, start, at)) return at;
  }
  if (text.length <= limit) return -1;
  // Not between the halves of a surrogate pair.
  const before = text.charCodeAt(limit - 1);
  return before >= 0xd800 && before <= 0xdbff ? limit - 1 : limit;
}

/** Ids of a whole text, segment by segment. */
export function encodeSegments(text: string, encode: SegmentEncoder): number[] {
  const ids: number[] = [];
  const start = encodeDecided(text, 0, encode, ids);
  if (start < text.length) encode(text, start, text.length, ids);
  return ids;
}

/** The same ids for a text that arrives in pieces; holds at most one segment. */
export function segmentStream(encode: SegmentEncoder): TokenStream {
  let held = "";
  let scanned = 0;
  return {
    push(text) {
      const ids: number[] = [];
      held += text;
      const start = encodeDecided(held, scanned, encode, ids);
      held = held.slice(start);
      scanned = Math.max(0, held.length - 1);
      return ids;
    },
    finish() {
      const ids: number[] = [];
      if (held.length > 0) encode(held, 0, held.length, ids);
      held = "";
      scanned = 0;
      return ids;
    },
  };
}

/** Encodes all segments of `text` whose end is known and returns where the rest starts. */
function encodeDecided(text: string, scanned: number, encode: SegmentEncoder, ids: number[]): number {
  let start = 0;
  for (let end = segmentEnd(text, 0, scanned); end >= 0; end = segmentEnd(text, start, start)) {
    encode(text, start, end, ids);
    start = end;
  }
  return start;
}
