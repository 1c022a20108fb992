/** Chance that is the same in every run: one stream of numbers for each input. */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number below `end`, from 0 on. */
  below(end: number): number;
  pick<T>(values: readonly T[]): T;
  chance(share: number): boolean;
}

/** @param input number of the input, of a kind that is fuzzed with a seed */
export function randomOf(seed: number, kind: string, input: number): Random {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(input + 1, 0xc2b2ae35);
  for (const character of kind) state = Math.imul(state ^ character.charCodeAt(0), 0x01000193);
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  return { next, below, pick: (values) => values[below(values.length)]!, chance: (share) => next() < share };
}
