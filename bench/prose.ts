/** Real prose for measurements: Moby Dick and the State of the Union addresses, from npm packages that are development dependencies. */
export { seeded as random } from "../core/eval/random.ts";
import { wilson as interval } from "../core/eval/statistics.ts";
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

/** Share with its 95 % Wilson interval, in percent. */
export function wilson(hits: number, count: number): { share: number; low: number; high: number } {
  if (count === 0) return { share: 0, low: 0, high: 100 };
  const { low, high } = interval(hits, count);
  return { share: 100 * hits / count, low: 100 * low, high: 100 * high };
}
