/** Which slots two readings of the same text kept. */

/** Source tokens that only one of them has, each as often as it has it more often. Centroid slots of one head all have the same source. */
export function difference(
  theirs: ArrayLike<number>,
  mine: ArrayLike<number>,
): { onlyTheirs: number[]; onlyMine: number[] } {
  const more = new Map<number, number>();
  for (const token of Array.from(theirs)) more.set(token, (more.get(token) ?? 0) + 1);
  for (const token of Array.from(mine)) more.set(token, (more.get(token) ?? 0) - 1);
  const onlyTheirs: number[] = [], onlyMine: number[] = [];
  for (const [token, count] of more) {
    for (let i = 0; i < Math.abs(count); i++) (count > 0 ? onlyTheirs : onlyMine).push(token);
  }
  return { onlyTheirs, onlyMine };
}
