/** Facts of a saved state: JSON of a file that anybody may have made, each of them doubted. */
import type { ModelError } from "../errors.ts";

/** What JSON holds at a name, of the kind that is asked for. */
export interface Facts {
  /** @throws {ModelError} where it is none, or beyond the bounds */
  whole(name: string, most?: number, least?: number): number;
  /** A finite number. */
  number(name: string): number;
  text(name: string, longest?: number): string;
  oneOf<T extends string>(name: string, known: readonly T[]): T;
  /** Whole numbers; `count` of them where that is known. */
  wholes(name: string, options?: { count?: number; longest?: number; most?: number; least?: number }): number[];
  object(name: string): Facts;
  objects(name: string, longest: number): Facts[];
  /** Null, or missing. */
  lacks(name: string): boolean;
  refuse(problem: string): ModelError;
}

/** @param where of the facts, for messages @param refuse makes the error of a file that cannot be used */
export function factsOf(value: unknown, where: string, refuse: (problem: string) => ModelError): Facts {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse(`its ${where} is no object`);
  const entries = value as Record<string, unknown>;
  const of = (name: string) => Object.hasOwn(entries, name) ? entries[name] : undefined;
  const at = (name: string) => `${where}.${name}`;
  const shown = (found: unknown) => found === undefined ? "missing" : (JSON.stringify(found) ?? "missing").slice(0, 60);
  const wholeIn = (name: string, found: unknown, most: number, least: number): number => {
    if (typeof found === "number" && Number.isSafeInteger(found) && found >= least && found <= most) return found;
    throw refuse(`its ${at(name)} is ${shown(found)}, where a whole number from ${least} to ${most} is needed`);
  };
  const facts: Facts = {
    refuse,
    whole: (name, most = Number.MAX_SAFE_INTEGER, least = 0) => wholeIn(name, of(name), most, least),
    number(name) {
      const found = of(name);
      if (typeof found === "number" && Number.isFinite(found)) return found;
      throw refuse(`its ${at(name)} is ${shown(found)}, where a number is needed`);
    },
    text(name, longest = 1 << 20) {
      const found = of(name);
      if (typeof found === "string" && found.length <= longest) return found;
      throw refuse(`its ${at(name)} is ${shown(found)}, where a text of at most ${longest} characters is needed`);
    },
    oneOf(name, known) {
      const found = of(name);
      const one = known.find((each) => each === found);
      if (one !== undefined) return one;
      throw refuse(`its ${at(name)} is ${shown(found)}, where ${known.join(", ")} work`);
    },
    wholes(name, { count, longest = Number.MAX_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER, least = 0 } = {}) {
      const found = of(name);
      if (!Array.isArray(found) || found.length > longest || (count !== undefined && found.length !== count)) {
        throw refuse(`its ${at(name)} is no list of ${count ?? `at most ${longest}`} numbers`);
      }
      return found.map((one, i) => wholeIn(`${name}[${i}]`, one, most, least));
    },
    object: (name) => factsOf(of(name), at(name), refuse),
    objects(name, longest) {
      const found = of(name);
      if (!Array.isArray(found) || found.length > longest) {
        throw refuse(`its ${at(name)} is no list of at most ${longest} objects`);
      }
      return found.map((one, i) => factsOf(one, `${at(name)}[${i}]`, refuse));
    },
    lacks: (name) => of(name) === undefined || of(name) === null,
  };
  return facts;
}
