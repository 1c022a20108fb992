/** Deterministic chance: the same seed makes the same documents on every machine. */

/** Numbers in [0, 1). */
export type Random = () => number;

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/** A whole number in [from, to]. */
export const between = (next: Random, from: number, to: number): number => from + Math.floor(next() * (to - from + 1));

/** One of a list. */
export const choose = <T>(next: Random, list: readonly T[]): T => list[Math.floor(next() * list.length)]!;

/** A shuffled copy. */
export function shuffled<T>(next: Random, list: readonly T[]): T[] {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}

/** `count` different things that `make` gives. */
export function distinct(count: number, make: () => string): string[] {
  const found = new Set<string>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 100 * count + 1000) throw new Error(`Cannot make ${count} different values: got ${found.size}`);
    found.add(make());
  }
  return [...found];
}

/** A 53-bit hash of a text (cyrb53) in hexadecimal: names a sample in the list of finished results, no more. */
export function hash(text: string): string {
  let a = 0xdeadbeef, b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16).padStart(14, "0");
}
