/** Unigram tokenization of one word: of all ways to spell it, the one with the largest sum of scores. */
import { ModelError } from "../errors.ts";
import { LONGEST_TOKEN } from "./tokenizer_parts.ts";

/** Under the lowest score of the vocabulary by this much: what a character without a piece costs. */
const UNKNOWN_COST = 10;

/** Calls `found` for every piece in turn; a character without a piece comes with id -1. */
export type Unigram = (word: string, found: (id: number, start: number, end: number) => void) => void;

/** @param longest code units of the longest piece that begins with a code unit */
function longestPieces(ids: ReadonlyMap<string, number>): Map<number, number> {
  const longest = new Map<number, number>();
  for (const piece of ids.keys()) {
    const first = piece.charCodeAt(0);
    if (piece.length > LONGEST_TOKEN) {
      throw new ModelError(
        `Cannot use the model's tokenizer: its piece ${JSON.stringify(piece.slice(0, 40))}… has ${piece.length} ` +
          `characters; up to ${LONGEST_TOKEN} work`,
      );
    }
    if (piece.length > (longest.get(first) ?? 0)) longest.set(first, piece.length);
  }
  return longest;
}

/** Of equal sums the one whose last piece is longer wins, as in Hugging Face's. */
export function unigram(ids: ReadonlyMap<string, number>, scores: ArrayLike<number>): Unigram {
  const longest = longestPieces(ids);
  let lowest = Infinity;
  for (let id = 0; id < scores.length; id++) lowest = Math.min(lowest, scores[id]!);
  const unknown = lowest - UNKNOWN_COST;
  return (word, found) => {
    const { length } = word;
    // The best way to every place: its sum, where its last piece starts and which it is.
    const sums = new Float64Array(length + 1).fill(-Infinity);
    const starts = new Int32Array(length + 1), last = new Int32Array(length + 1);
    sums[0] = 0;
    const offer = (start: number, end: number, sum: number, id: number) => {
      if (sum <= sums[end]!) return;
      sums[end] = sum;
      starts[end] = start;
      last[end] = id;
    };
    for (let start = 0; start < length;) {
      const character = word.codePointAt(start)! > 0xffff ? 2 : 1;
      const end = Math.min(length, start + (longest.get(word.charCodeAt(start)) ?? 0));
      let single = false;
      for (let to = start + 1; to <= end; to++) {
        const id = ids.get(word.slice(start, to));
        if (id === undefined) continue;
        offer(start, to, sums[start]! + scores[id]!, id);
        if (to === start + character) single = true;
      }
      if (!single) offer(start, start + character, sums[start]! + unknown, -1);
      start += character;
    }
    const ends: number[] = [];
    for (let end = length; end > 0; end = starts[end]!) ends.push(end);
    for (let i = ends.length - 1; i >= 0; i--) found(last[ends[i]!]!, starts[ends[i]!]!, ends[i]!);
  };
}
