/** Real prose for measurements: Moby Dick and the State of the Union addresses, from npm packages that are development dependencies. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const packages = join(import.meta.dirname, "..", "node_modules", "@stdlib");

/** Text of one chapter, 1 to 135. */
export function chapter(number: number): string {
  return readFileSync(join(packages, "datasets-moby-dick", "data", `chapter_${number}.txt`), "utf8");
}

/** The whole novel, chapters in order. */
export function mobyDick(): string {
  return Array.from({ length: 135 }, (_, i) => chapter(i + 1)).join("\n\n");
}

/** The first address of a year. */
export function stateOfTheUnion(year: number): string {
  const folder = join(packages, "datasets-sotu", "data");
  const name = readdirSync(folder).sort().find((file) => file.startsWith(`${year}_`) && file.endsWith(".txt"));
  if (!name) throw new RangeError(`There is no State of the Union address of ${year}`);
  return readFileSync(join(folder, name), "utf8");
}

/** Deterministic numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/** Share with its 95 % Wilson interval, in percent. */
export function wilson(hits: number, count: number): { share: number; low: number; high: number } {
  if (count === 0) return { share: 0, low: 0, high: 100 };
  const z = 1.96, p = hits / count, d = 1 + z * z / count;
  const centre = (p + z * z / (2 * count)) / d;
  const half = z * Math.sqrt(p * (1 - p) / count + z * z / (4 * count * count)) / d;
  return { share: 100 * p, low: 100 * Math.max(0, centre - half), high: 100 * Math.min(1, centre + half) };
}
