/** The steps of a tokenizer.json's `pre_tokenizer` as documents need them. */
import { shown } from "../engine/gguf/values.ts";
import { ModelError } from "../errors.ts";
import { type NormalizerStep, SPACES_AS_PIECES } from "./normalizer.ts";
import type { SplitStep } from "./pre_tokenizer.ts";
import { AT_SPACE_PIECES, BEHIND_SPACES, DIGIT, GPT2, splitBy } from "./tokenizer_patterns.ts";

interface Step {
  type: string;
  pretokenizers?: Step[];
  pattern?: { String?: string; Regex?: string };
  behavior?: string;
  invert?: boolean;
  individual_digits?: boolean;
  use_regex?: boolean;
  split?: boolean;
}

/**
 * The steps in their order: none puts anything before a text, since documents are tokenized segment by segment; digits and white
 * space are Unicode's, as in the original (the library takes JavaScript's in `Digits` and `ByteLevel`); and bytes are spelled later.
 * @throws {ModelError} for a step that cannot be followed exactly
 */
export function preTokenizerSteps(step: object | null | undefined): SplitStep[] {
  if (step === null || step === undefined) return [];
  const given = step as Step;
  switch (given.type) {
    case "Sequence":
      return (given.pretokenizers ?? []).flatMap(preTokenizerSteps);
    case "ByteLevel":
      return given.use_regex === false ? [] : [splitBy(GPT2)];
    case "Digits":
      return [splitBy(given.individual_digits ? DIGIT : `${DIGIT}+`)];
    case "Metaspace":
      // `metaspaces` has made "▁" of every space.
      return given.split === false ? [] : [splitBy(AT_SPACE_PIECES)];
    case "Split":
      return split(given);
  }
  throw new ModelError(
    `Cannot use the model's pre-tokenizer ${shown(given.type)}: Split, ByteLevel, Digits, Metaspace and Sequence work`,
  );
}

/** What a `Metaspace` among the steps does to a text, as a normalizer; null without one. */
export function metaspaces(step: object | null | undefined): NormalizerStep | null {
  const given = step as Step | null | undefined;
  if (given?.type === "Sequence") return given.pretokenizers?.map(metaspaces).find((found) => found !== null) ?? null;
  return given?.type === "Metaspace" ? SPACES_AS_PIECES : null;
}

function split(step: Step): SplitStep[] {
  const { pattern, behavior = "Isolated", invert = false } = step;
  // Gemma's: the normalizer has made "▁" of every space, so that none is left.
  if (pattern?.String === " " && behavior === "MergedWithPrevious") return [splitBy(BEHIND_SPACES)];
  if (typeof pattern?.Regex === "string") {
    if (behavior === "Isolated") return [splitBy(pattern.Regex)];
    // What the pattern does not match is removed, and the patterns match everything.
    if (behavior === "Removed" && invert) return [{ ...splitBy(pattern.Regex), behavior, invert }];
  }
  throw new ModelError(
    `Cannot use the model's pre-tokenizer: it splits at ${shown(pattern)} with the behavior ${shown(behavior)}; ` +
      "regular expressions whose matches are isolated work",
  );
}
