/** Merge rules of a SentencePiece BPE vocabulary, which stores only a score for every piece. */

/**
 * Merges in order of preference: a piece of a higher score is made earlier. Every split of a piece into two pieces is a
 * merge of its own, the ones of lower ids first, as in the converters of Hugging Face. `[left, right]` each.
 */
export function mergesFromScores(
  pieces: readonly string[],
  scores: ArrayLike<number>,
  isNormal: (id: number) => boolean,
): [string, string][] {
  const ids = new Map<string, number>();
  for (let id = 0; id < pieces.length; id++) {
    if (isNormal(id)) ids.set(pieces[id]!, id);
  }
  const merges: { score: number; left: number; right: number }[] = [];
  for (const [piece, id] of ids) {
    const splits: { score: number; left: number; right: number }[] = [];
    for (let at = 1; at < piece.length; at++) {
      const left = ids.get(piece.slice(0, at));
      const right = left === undefined ? undefined : ids.get(piece.slice(at));
      if (left !== undefined && right !== undefined) splits.push({ score: scores[id]!, left, right });
    }
    merges.push(...splits.sort((a, b) => a.left - b.left || a.right - b.right));
  }
  // Stable, so that splits of one piece keep their order.
  merges.sort((a, b) => b.score - a.score);
  return merges.map(({ left, right }) => [pieces[left]!, pieces[right]!]);
}
