/** Sets of bytes of a file, as ranges `[from, to)` that are in order and do not touch. */

export type Range = readonly [from: number, to: number];

/** With `added` too. */
export function withRange(ranges: readonly Range[], [from, to]: Range): Range[] {
  if (to <= from) return [...ranges];
  const before = ranges.filter(([, end]) => end < from), after = ranges.filter(([start]) => start > to);
  const joined = ranges.filter(([start, end]) => end >= from && start <= to);
  const start = Math.min(from, ...joined.map(([start]) => start)), end = Math.max(to, ...joined.map(([, end]) => end));
  return [...before, [start, end], ...after];
}

/** What of `[from, to)` is not in it. */
export function missingRanges(ranges: readonly Range[], [from, to]: Range): Range[] {
  const missing: Range[] = [];
  let at = from;
  for (const [start, end] of ranges) {
    if (end <= at || start >= to) continue;
    if (start > at) missing.push([at, start]);
    at = end;
  }
  if (at < to) missing.push([at, to]);
  return missing;
}

export function byteCount(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** Cuts what is longer than `most`. */
export function pieces(ranges: readonly Range[], most: number): Range[] {
  return ranges.flatMap(([from, to]) =>
    Array.from(
      { length: Math.ceil((to - from) / most) },
      (_, i): Range => [from + i * most, Math.min(to, from + (i + 1) * most)],
    )
  );
}

/** Reads what `JSON.stringify` wrote. @returns nothing where it is no such set below `size` */
export function parseRanges(value: unknown, size: number): Range[] {
  let ranges: Range[] = [];
  for (const one of Array.isArray(value) ? value : []) {
    const [from, to] = Array.isArray(one) ? one : [];
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to > size || from >= to) return [];
    ranges = withRange(ranges, [from, to]);
  }
  return ranges;
}
