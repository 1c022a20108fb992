/** Regular expressions of a pre-tokenizer, and what a normalizer replaces. */
import { normalizerOf } from "../../../core/text/normalizer.ts";
import { wordSplitter } from "../../../core/text/pre_tokenizer.ts";
import { KNOWN_PATTERNS, splitBy } from "../../../core/text/tokenizer_patterns.ts";
import { type Kind, Wrong } from "../kind.ts";
import { mutatedText } from "../mutate.ts";
import type { Random } from "../random.ts";
import { TEXTS } from "../use.ts";

export const pattern: Kind = {
  name: "pattern",
  share: 8,
  codes: [5],
  prepare: () =>
    Promise.resolve((random) => {
      const known = [...KNOWN_PATTERNS], text = random.pick(TEXTS);
      const one = () => random.chance(0.2) ? mutatedText(random, random.pick(known)) : pattern_(random, 3);
      if (random.chance(0.2)) {
        const content = random.pick(["", "x", "▁", "aaaaaaaa", "$&$`"]);
        normalizerOf({ type: "Replace", pattern: { Regex: one() }, content } as never)(text);
        return Promise.resolve(true);
      }
      const parts = wordSplitter([splitBy(one())])(text);
      if (parts.join("") !== text) throw new Wrong("a text's parts are not the text");
      return Promise.resolve(true);
    }),
};

function pattern_(random: Random, depth: number): string {
  const more = () => depth > 0 ? pattern_(random, depth - 1) : atom(random);
  return Array.from({ length: 1 + random.below(3) }, () =>
    random.pick([
      () => atom(random),
      () => atom(random) + quantifier(random),
      () => `(?:${more()})${quantifier(random)}`,
      () => `(?:${more()}|${more()})${random.chance(0.6) ? quantifier(random) : ""}`,
      () => `${more()}|${more()}`,
      () => `(?${random.pick(["=", "!", "<=", "<!", "i:", ">"])}${more()})`,
      () => `(${more()})`,
    ])()).join("");
}

const atom = (random: Random) =>
  random.pick([
    "a",
    "b",
    " ",
    ".",
    "-",
    "\\s",
    "\\S",
    "\\p{L}",
    "\\p{N}",
    "[^\\s]",
    "[a-z]",
    "\\w",
    "\\b",
    "^",
    "$",
    "\\d",
  ]);
const quantifier = (random: Random) => random.pick(["*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{2,}", "++", "{50}"]);
