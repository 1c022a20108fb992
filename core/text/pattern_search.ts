/**
 * Finds matches as JavaScript's own engine does, and counts its steps: that one may take years over a pattern such as `(a+)+b`, and cannot be stopped. Several
 * times slower, so it is for patterns that a model brings along; those that are known go to the engine.
 */
import type { Pattern } from "./pattern_parse.ts";

/** Steps for every character of a text; patterns in use take about 20. */
const STEPS_PER_CHARACTER = 512;
/** Steps that short texts may take beyond. */
const STEPS_AHEAD = 1 << 22;
/** Repetitions of groups, one inside the other. */
const MAX_DEPTH = 1000;

/** What is taken after a part: the end of the match, or NONE. */
type Rest = (at: number) => number;
/** Tries to match at a place, and then the rest. */
type Matcher = (text: string, at: number, rest: Rest) => number;

const NONE = -1;

/** A pattern that takes too many steps over a text. */
export class EndlessPattern extends Error {}

/** Places of all matches, one behind the other, empty ones too. @throws {EndlessPattern} */
export type Search = (text: string) => Generator<{ start: number; end: number }>;

/** A search whose steps are counted over all texts that it is given. */
export function searcher(pattern: Pattern): Search {
  let steps = STEPS_AHEAD, depth = 0;

  const take = () => {
    if (--steps < 0) throw new EndlessPattern(`takes more than ${STEPS_PER_CHARACTER} steps for a character of text`);
  };

  const compile = (part: Pattern): Matcher => {
    switch (part.kind) {
      case "character":
        return (text, at, rest) => {
          const end = next(part.holds, text, at);
          return end === NONE ? NONE : rest(end);
        };
      case "sequence": {
        const parts = part.parts.map(compile);
        if (parts.length === 1) return parts[0]!;
        return (text, at, rest) => {
          const from = (i: number, at: number): number =>
            i === parts.length ? rest(at) : parts[i]!(text, at, (end) => from(i + 1, end));
          return from(0, at);
        };
      }
      case "choice": {
        const parts = part.parts.map(compile);
        return (text, at, rest) => {
          for (const one of parts) {
            take();
            const end = one(text, at, rest);
            if (end !== NONE) return end;
          }
          return NONE;
        };
      }
      case "repeat":
        return part.part.kind === "character" ? run(part.part.holds, part) : repeat(compile(part.part), part);
      case "look":
        return look(compile(part.part), part);
      case "start":
        return (_, at, rest) => at === 0 ? rest(at) : NONE;
      case "end":
        return (text, at, rest) => at === text.length ? rest(at) : NONE;
    }
  };

  const next = (holds: (character: number) => boolean, text: string, at: number): number => {
    take();
    const character = text.codePointAt(at);
    return character !== undefined && holds(character) ? at + (character > 0xffff ? 2 : 1) : NONE;
  };

  /** Characters of one class, any number of them without a call for each. */
  const run = (
    holds: (character: number) => boolean,
    { least, most, greedy }: { least: number; most: number; greedy: boolean },
  ): Matcher =>
  (text, at, rest) => {
    let end = at, count = 0;
    const more = () => {
      const further = count < most ? next(holds, text, end) : NONE;
      if (further === NONE) return false;
      end = further;
      count++;
      return true;
    };
    while (count < least) if (!more()) return NONE;
    if (!greedy) {
      while (true) {
        const found = rest(end);
        if (found !== NONE) return found;
        if (!more()) return NONE;
      }
    }
    while (more());
    for (;; count--) {
      const found = rest(end);
      if (found !== NONE || count === least) return found;
      take();
      // the character before, which may have two halves
      end -= end - 2 >= at && text.codePointAt(end - 2)! > 0xffff ? 2 : 1;
    }
  };

  const repeat = (
    part: Matcher,
    { least, most, greedy }: { least: number; most: number; greedy: boolean },
  ): Matcher =>
  (text, start, rest) => {
    const from = (at: number, count: number): number => {
      take();
      const again = () => {
        if (count >= most) return NONE;
        if (++depth > MAX_DEPTH) throw new EndlessPattern(`repeats its parts more than ${MAX_DEPTH} times`);
        // an empty repetition beyond the least is none, or there would be no end of them
        const found = part(text, at, (end) => end === at && count >= least ? NONE : from(end, count + 1));
        depth--;
        return found;
      };
      if (count < least) return again();
      if (!greedy) {
        const found = rest(at);
        return found === NONE ? again() : found;
      }
      const found = again();
      return found === NONE ? rest(at) : found;
    };
    return from(start, 0);
  };

  const look =
    (part: Matcher, { behind, negated }: { behind: boolean; negated: boolean }): Matcher => (text, at, rest) => {
      take();
      let from = at;
      if (behind) from -= at >= 2 && text.codePointAt(at - 2)! > 0xffff ? 2 : 1;
      const found = from >= 0 && part(text, from, (end) => !behind || end === at ? end : NONE) !== NONE;
      return found === negated ? NONE : rest(at);
    };

  const match = compile(pattern);
  return function* (text) {
    steps = Math.min(STEPS_AHEAD, Math.max(0, steps)) + STEPS_PER_CHARACTER * text.length;
    depth = 0;
    for (let at = 0; at <= text.length;) {
      take();
      const end = match(text, at, (end) => end);
      if (end !== NONE) yield { start: at, end };
      if (end !== NONE && end > at) at = end;
      else at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    }
  };
}
