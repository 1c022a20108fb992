/**
 * Where byte-level tokenizers split text before they merge, as in their tokenizer.json; each match is one part. `\s` is
 * Unicode's White_Space. `(?i:'s|…)` is spelled out, since not every JavaScript engine has it.
 */

import type { SplitStep } from "./pre_tokenizer.ts";

/** One digit or other number, of any script. */
export const DIGIT = String.raw`\p{N}`;

/** GPT-2's pattern: a word, number or run of punctuation with the space before it. */
export const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const CONTRACTION = String.raw`'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])`;
const SPACES = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Llama 3's and Qwen's pattern, which differ in the digits that stand together. */
export function wordsWithDigits(digits: string, contraction = CONTRACTION): string {
  return String.raw`${contraction}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`;
}

/** Qwen 3.5's: marks belong to the letters before them. */
export const QWEN35 = String
  .raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|${SPACES}`;

/** GPT-4o's and Mistral's Tekken: a capital starts a word; what may follow a word differs, and the digits. */
export function casedWords(ending: string, digits: string): string {
  const upper = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, lower = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
  const before = String.raw`[^\r\n\p{L}\p{N}]?`;
  return `${before}${upper}*${lower}+${ending}|${before}${upper}+${lower}*${ending}|${digits}` +
    String.raw`| ?[^\s\p{L}\p{N}]+[\r\n/]*|${SPACES}`;
}

export const TEKKEN = casedWords("", DIGIT);
export const GPT4O = casedWords(`(?:${CONTRACTION})?`, `${DIGIT}{1,3}`);

/** DeepSeek's: digits, Chinese and Japanese, and the rest, one after the other. */
export const DEEPSEEK_V3 = [
  `${DIGIT}{1,3}`,
  "[一-龥぀-ゟ゠-ヿ]+",
  String
    .raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${SPACES}`,
];

/** The pre-tokenizer step of a tokenizer.json that makes every match a part of its own. */
export function splitBy(pattern: string): SplitStep {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

/** As files of tokenizers spell it. */
const CONTRACTION_IN_FILES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

/** What splits at the "▁" that a normalizer has made of every space; and at the spaces, behind each, where it has left none. */
export const AT_SPACE_PIECES = "▁[^▁]*|[^▁]+", BEHIND_SPACES = "[^ ]* |[^ ]+";

/**
 * Patterns of published tokenizers, each of which takes a text's characters a few times and no more: JavaScript's own engine may run them. A new one belongs
 * here for its speed alone, and only if what a failing branch has passed over is then taken by another.
 */
export const KNOWN_PATTERNS: ReadonlySet<string> = new Set([
  GPT2,
  DIGIT,
  `${DIGIT}+`,
  `${DIGIT}{1,3}`,
  AT_SPACE_PIECES,
  BEHIND_SPACES,
  QWEN35,
  TEKKEN,
  GPT4O,
  casedWords(`${CONTRACTION_IN_FILES}?`, `${DIGIT}{1,3}`),
  ...[CONTRACTION, CONTRACTION_IN_FILES].flatMap((contraction) =>
    [DIGIT, `${DIGIT}{1,3}`].map((digits) => wordsWithDigits(digits, contraction))
  ),
  ...DEEPSEEK_V3,
]);
