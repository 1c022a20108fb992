/**
 * Regular expressions that a tokenizer brings along. Those of published tokenizers go to JavaScript's engine; any other might keep it busy for years over a
 * short text, so its steps are counted.
 */
import { ReplaceNormalizer } from "@huggingface/tokenizers";
import { ModelError } from "../errors.ts";
import { parsePattern } from "./pattern_parse.ts";
import { EndlessPattern, searcher } from "./pattern_search.ts";
import { KNOWN_PATTERNS } from "./tokenizer_patterns.ts";

/** Places of all matches in a text, one behind the other. @throws {ModelError} where finding them takes too long */
export type Matches = (text: string) => Iterable<{ start: number; end: number }>;

/** The longest in use has some hundreds. */
const MAX_LENGTH = 4096;

/**
 * @param pattern as Hugging Face's tokenizers take it (Oniguruma's spelling)
 * @throws {ModelError} when it is none, or one that cannot be followed
 */
export function matchesOf(pattern: string): Matches {
  const refuse = (problem: string, cause?: unknown) =>
    new ModelError(
      `Cannot use the model's tokenizer: its regular expression ${
        JSON.stringify(pattern.slice(0, 60))
      } ${problem}; those of published tokenizers work`,
      { cause },
    );
  if (pattern.length > MAX_LENGTH) throw refuse(`has ${pattern.length} characters, where up to ${MAX_LENGTH} work`);
  try {
    const native = inJavaScript(pattern);
    if (KNOWN_PATTERNS.has(spelled(pattern))) return (text) => nativeMatches(native, text);
    const search = searcher(parsePattern(native.source));
    return function* (text) {
      try {
        yield* search(text);
      } catch (error) {
        if (error instanceof EndlessPattern) throw refuse(error.message, error);
        throw error;
      }
    };
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw refuse(`cannot be followed (${(error as Error).message.slice(0, 120)})`, error);
  }
}

/** Line ends as escapes: files have both. */
const spelled = (pattern: string) => pattern.replaceAll("\r", "\\r").replaceAll("\n", "\\n");

/** In JavaScript's spelling, where classes are Unicode's. @throws {SyntaxError} */
export function inJavaScript(pattern: string): RegExp {
  return new ReplaceNormalizer({ type: "Replace", pattern: { Regex: pattern }, content: "" }).pattern!;
}

function* nativeMatches(pattern: RegExp, text: string): Generator<{ start: number; end: number }> {
  for (const match of text.matchAll(pattern)) yield { start: match.index, end: match.index + match[0].length };
}

/** Parts of a text that match, and those between them; empty ones are left out. */
export function splitAt(matches: Matches, text: string): string[] {
  const parts: string[] = [];
  let before = 0;
  for (const { start, end } of matches(text)) {
    if (before < start) parts.push(text.slice(before, start));
    if (end > start) parts.push(text.slice(start, end));
    before = end;
  }
  if (before < text.length) parts.push(text.slice(before));
  return parts;
}

/** Parts of a text that match. */
export function onlyMatches(matches: Matches, text: string): string[] {
  const parts: string[] = [];
  for (const { start, end } of matches(text)) if (end > start) parts.push(text.slice(start, end));
  return parts;
}
