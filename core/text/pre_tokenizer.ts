/** Splits a text into words, by the steps that a tokenizer names. */
import { ModelError } from "../errors.ts";
import { matchesOf, onlyMatches, splitAt } from "./pattern.ts";

/** The `Split` of a tokenizer.json: every match is a part of its own; with `invert`, what lies between matches is left out. */
export interface SplitStep {
  type: "Split";
  pattern: { Regex: string };
  behavior: string;
  invert: boolean;
}

/** DeepSeek has three. */
const MAX_STEPS = 32;

/**
 * @param steps one after the other, each on the parts of the one before; none: a text is one word
 * @throws {ModelError} for a pattern that cannot be followed
 */
export function wordSplitter(steps: readonly SplitStep[]): (text: string) => string[] {
  if (steps.length > MAX_STEPS) {
    throw new ModelError(`Cannot use the model's pre-tokenizer: it has ${steps.length} steps; up to ${MAX_STEPS} work`);
  }
  const splits = steps.map(({ pattern, invert }) => {
    const matches = matchesOf(pattern.Regex);
    return (text: string) => invert ? onlyMatches(matches, text) : splitAt(matches, text);
  });
  return (text) => splits.reduce((parts, split) => parts.flatMap(split), text === "" ? [] : [text]);
}
