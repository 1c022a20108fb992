/**
 * Pairs of pieces that a tokenizer joins. They are looked up by what they spell when a text first has them, and by their ids from then
 * on: a table of all, half a million in a large vocabulary, would take longer than most documents.
 */

/** Not in the table, or no piece. */
export const NONE = -1;

/** A table of pairs, by the ids of both pieces. What `find` gives holds until it is called again. */
export interface Pairs {
  /** Where a pair's rank and joined piece are; {@link NONE} when it does not join. */
  find(left: number, right: number): number;
  /** What of all that could be joined is joined first: the lowest. By what `find` gave. */
  rank(at: number): number;
  /** Id of the joined piece. By what `find` gave. */
  joined(at: number): number;
}

/**
 * Pairs of a list of merges in order of preference, each `[left, right]` or `left right`; of two equal ones the first counts. What joins to
 * no piece of `ids` does not join.
 */
export function listedPairs(
  merges: readonly (string | readonly [string, string])[],
  pieces: readonly (string | undefined)[],
  ids: ReadonlyMap<string, number>,
): Pairs {
  const ranks = new Map<string, number>();
  // From the last to the first, so that of two equal ones the first stays.
  for (let rank = merges.length - 1; rank >= 0; rank--) {
    const merge = merges[rank]!;
    ranks.set(typeof merge === "string" ? merge : `${merge[0]} ${merge[1]}`, rank);
  }
  return rememberedPairs((left, right) => {
    const first = pieces[left]!, second = pieces[right]!;
    const rank = ranks.get(`${first} ${second}`);
    const joined = rank === undefined ? undefined : ids.get(first + second);
    return joined === undefined ? null : { rank: rank!, joined };
  });
}

/**
 * Pairs of a SentencePiece vocabulary, which has no list: two pieces join when the vocabulary has what they spell together, and
 * the piece of the higher score is made first; of one score that with the longer left half, as in Hugging Face's converters.
 */
export function scoredPairs(
  scores: ArrayLike<number>,
  pieces: readonly (string | undefined)[],
  ids: ReadonlyMap<string, number>,
): Pairs {
  const places = rankedScores(scores);
  return rememberedPairs((left, right) => {
    const first = pieces[left]!, second = pieces[right]!;
    const joined = ids.get(first + second);
    if (joined === undefined) return null;
    const lengths = 256 * (255 - Math.min(first.length, 255)) + 255 - Math.min(second.length, 255);
    return { rank: 65536 * places[joined]! + lengths, joined };
  });
}

/** Pairs that are remembered, those that do not join among them; past them all are forgotten. */
const REMEMBERED = 1 << 18;

/** Remembers what `lookUp` says: open addressing, since this is where encoding spends its time. */
function rememberedPairs(lookUp: (left: number, right: number) => { rank: number; joined: number } | null): Pairs {
  const size = 2 * REMEMBERED, mask = size - 1;
  /** `lefts[at]` is NONE where nothing is, `joined[at]` where the pair does not join. */
  const lefts = new Int32Array(size).fill(NONE), rights = new Int32Array(size);
  const joined = new Int32Array(size), ranks = new Float64Array(size);
  let count = 0;
  const place = (left: number, right: number): number => {
    let at = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    at = (at ^ (at >>> 15)) & mask;
    while (lefts[at] !== NONE && (lefts[at] !== left || rights[at] !== right)) at = (at + 1) & mask;
    return at;
  };
  return {
    find(left, right) {
      if (left === NONE || right === NONE) return NONE;
      let at = place(left, right);
      if (lefts[at] === NONE) {
        if (count === REMEMBERED) {
          lefts.fill(NONE);
          count = 0;
          at = place(left, right);
        }
        const found = lookUp(left, right);
        count++;
        lefts[at] = left;
        rights[at] = right;
        ranks[at] = found?.rank ?? 0;
        joined[at] = found?.joined ?? NONE;
      }
      return joined[at] === NONE ? NONE : at;
    },
    rank: (at) => ranks[at]!,
    joined: (at) => joined[at]!,
  };
}

/** Place of every score among all, 0 for the highest; equal scores share one. */
function rankedScores(scores: ArrayLike<number>): Int32Array {
  const sorted = Float64Array.from(scores).sort();
  const places = new Map<number, number>();
  for (let i = sorted.length - 1; i >= 0; i--) if (!places.has(sorted[i]!)) places.set(sorted[i]!, places.size);
  return Int32Array.from(scores, (score) => places.get(score)!);
}
