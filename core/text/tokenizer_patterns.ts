/** Where byte-level tokenizers split text before they merge; each match is one part. `\s` is Unicode's White_Space. */

/** One digit or other number, of any script. */
export const DIGIT = String.raw`\p{N}`;

/** GPT-2's pattern: a word, number or run of punctuation with the space before it. */
export const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/**
 * Llama 3's and Qwen's pattern, which differ in the digits that stand together. `(?i:'s|…)` is spelled out, since not
 * every JavaScript engine has it.
 */
export function wordsWithDigits(digits: string): string {
  return String.raw`'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}` +
    String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
}

/** The pre-tokenizer step of a tokenizer.json that makes every match a part of its own. */
export function splitBy(pattern: string) {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

/** The step that spells bytes with GPT-2's stand-in characters and splits nothing. */
export const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
