/** Regular expressions as trees: those of JavaScript with the flag `u`, without what refers back to what was matched. */

export type Pattern =
  /** One character, which the engine's own classes know. */
  | { kind: "character"; holds: (character: number) => boolean }
  | { kind: "sequence"; parts: Pattern[] }
  | { kind: "choice"; parts: Pattern[] }
  | { kind: "repeat"; part: Pattern; least: number; most: number; greedy: boolean }
  /** What stands before or behind, and takes no part. */
  | { kind: "look"; part: Pattern; behind: boolean; negated: boolean }
  | { kind: "start" | "end" };

/** More than any pre-tokenizer has. */
const MAX_LENGTH = 8192, MAX_REPEATS = 1000;

/** @throws {SyntaxError} for what is none, or has parts that are not known here */
export function parsePattern(source: string): Pattern {
  if (source.length > MAX_LENGTH) throw new SyntaxError(`it has ${source.length} characters, up to ${MAX_LENGTH} work`);
  new RegExp(source, "u"); // says what is wrong with it
  let at = 0;
  const choice = (): Pattern => {
    const parts = [sequence()];
    while (source[at] === "|") {
      at++;
      parts.push(sequence());
    }
    return parts.length === 1 ? parts[0]! : asOneCharacter({ kind: "choice", parts });
  };
  const sequence = (): Pattern => {
    const parts: Pattern[] = [];
    while (at < source.length && source[at] !== "|" && source[at] !== ")") parts.push(repeated(atom()));
    return asOneCharacter({ kind: "sequence", parts });
  };
  const repeated = (part: Pattern): Pattern => {
    const [text, digits, comma, more] = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})/.exec(source.slice(at, at + 40)) ?? [];
    if (text === undefined) return part;
    at += text.length;
    const greedy = source[at] !== "?";
    if (!greedy) at++;
    const least = digits === undefined ? (text === "+" ? 1 : 0) : Number(digits);
    const most = digits === undefined ? (text === "?" ? 1 : Infinity) : more ? Number(more) : comma ? Infinity : least;
    if (least > MAX_REPEATS || most !== Infinity && most > MAX_REPEATS) {
      throw new SyntaxError(`it repeats a part ${text} times, up to ${MAX_REPEATS} work`);
    }
    return { kind: "repeat", part, least, most, greedy };
  };
  const atom = (): Pattern => {
    const from = at, character = String.fromCodePoint(source.codePointAt(at)!);
    if (character === "(") return group();
    if (character === "^" || character === "$") {
      at++;
      return { kind: character === "^" ? "start" : "end" };
    }
    if (character === "[") {
      for (at++; source[at] !== "]"; at++) if (source[at] === "\\") at++;
      at++;
    } else if (character === "\\") escape();
    else at += character.length;
    return { kind: "character", holds: membership(source.slice(from, at)) };
  };
  const escape = () => {
    const known =
      /^\\(?:[pPu]\{[^}]*\}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[dDsSwWfnrtv0]|[^\w\s])/
        .exec(source.slice(at));
    if (!known) throw new SyntaxError(`${source.slice(at, at + 2)} in it is not known`);
    at += known[0].length;
  };
  const group = (): Pattern => {
    const [opening, sign] = /^\((?:\?(:|<?[=!])|(?!\?))/.exec(source.slice(at)) ?? [];
    if (opening === undefined) throw new SyntaxError(`${source.slice(at, at + 4)} in it is not known`);
    at += opening.length;
    const part = choice();
    at++; // the closing bracket
    if (sign === undefined || sign === ":") return part;
    const behind = sign.startsWith("<");
    if (behind && part.kind !== "character") throw new SyntaxError("it looks behind for more than one character");
    return { kind: "look", part, behind, negated: sign.endsWith("!") };
  };
  return choice();
}

/** What matches one character in any case is one class: so the library spells what JavaScript's classes lack. */
function asOneCharacter(pattern: Pattern & { kind: "choice" | "sequence" }): Pattern {
  const { parts } = pattern;
  if (pattern.kind === "choice") {
    const all = parts.flatMap((part) => part.kind === "character" ? [part.holds] : []);
    return all.length < parts.length
      ? pattern
      : { kind: "character", holds: (character) => all.some((holds) => holds(character)) };
  }
  const last = parts.at(-1);
  if (last?.kind !== "character") return pattern;
  const looks = parts.slice(0, -1).flatMap((part) =>
    part.kind === "look" && !part.behind && part.part.kind === "character"
      ? [{ negated: part.negated, holds: part.part.holds }]
      : []
  );
  if (looks.length < parts.length - 1) return pattern;
  if (looks.length === 0) return last;
  const holds = (character: number) =>
    last.holds(character) && looks.every((look) => look.holds(character) !== look.negated);
  return { kind: "character", holds };
}

/** Asks the engine once for every character: a class of one character needs no steps that could be many. */
function membership(source: string): (character: number) => boolean {
  const one = new RegExp(`^(?:${source})$`, "u"), UNKNOWN = 0, NO = 1, YES = 2;
  const known = new Uint8Array(0x10000);
  return (character) => {
    if (character > 0xffff) return one.test(String.fromCodePoint(character));
    if (known[character] === UNKNOWN) known[character] = one.test(String.fromCharCode(character)) ? YES : NO;
    return known[character] === YES;
  };
}
