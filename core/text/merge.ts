/** Byte pair encoding of one word: the pair of the lowest rank is joined, the leftmost of equals, until none joins. */
import { NONE, type Pairs } from "./pairs.ts";

/** Joins the first `count` of `ids`, in place, and returns how many stay. {@link NONE} joins with nothing. */
export type Merge = (ids: Int32Array, count: number) => number;

/** Words up to this length share their working memory. */
const SHARED = 1 << 12;

/**
 * Time grows with n log n: a heap holds the pairs that could be joined, those that something else has taken since are skipped.
 */
export function merger(pairs: Pairs): Merge {
  const shared = room(SHARED);
  return (ids, count) => {
    if (count < 2) return count;
    const { previous, next, heap } = count <= SHARED ? shared : room(count);
    const offer = (at: number) => {
      const pair = pairs.find(ids[at]!, ids[next[at]!]!);
      if (pair !== NONE) heap.push(pairs.rank(pair), at);
    };
    for (let at = 0; at < count; at++) {
      previous[at] = at - 1;
      next[at] = at + 1 < count ? at + 1 : NONE;
    }
    for (let at = 0; at + 1 < count; at++) offer(at);
    while (heap.size() > 0) {
      const rank = heap.rank(), at = heap.pop();
      const right = next[at]!;
      if (right === NONE || ids[at] === TAKEN) continue;
      const pair = pairs.find(ids[at]!, ids[right]!);
      if (pair === NONE || pairs.rank(pair) !== rank) continue;
      ids[at] = pairs.joined(pair);
      ids[right] = TAKEN;
      const after = next[right]!;
      next[at] = after;
      if (after !== NONE) {
        previous[after] = at;
        offer(at);
      }
      if (previous[at] !== NONE) offer(previous[at]!);
    }
    let kept = 0;
    for (let at = 0; at !== NONE; at = next[at]!) ids[kept++] = ids[at]!;
    return kept;
  };
}

/** Joined into the piece before it. */
const TAKEN = -2;

function room(count: number) {
  return { previous: new Int32Array(count), next: new Int32Array(count), heap: pairHeap(count) };
}

/** Places of pairs, the lowest rank first, the leftmost of equal ranks. */
function pairHeap(expected: number) {
  // A word of n pieces offers n - 1 pairs, and at most two more for each that is joined.
  const ranks = new Float64Array(3 * expected), places = new Int32Array(3 * expected);
  let size = 0;
  return {
    size: () => size,
    rank: () => ranks[0]!,
    push(rank: number, place: number) {
      let at = size++;
      while (at > 0) {
        const above = (at - 1) >> 1;
        if (ranks[above]! < rank || (ranks[above] === rank && places[above]! < place)) break;
        ranks[at] = ranks[above]!;
        places[at] = places[above]!;
        at = above;
      }
      ranks[at] = rank;
      places[at] = place;
    },
    pop(): number {
      const top = places[0]!, rank = ranks[--size]!, place = places[size]!;
      let at = 0;
      for (let below = 1; below < size; below = 2 * at + 1) {
        const right = below + 1;
        if (
          right < size &&
          (ranks[right]! < ranks[below]! || (ranks[right] === ranks[below] && places[right]! < places[below]!))
        ) below = right;
        if (rank < ranks[below]! || (rank === ranks[below] && place < places[below]!)) break;
        ranks[at] = ranks[below]!;
        places[at] = places[below]!;
        at = below;
      }
      ranks[at] = rank;
      places[at] = place;
      return top;
    },
  };
}
