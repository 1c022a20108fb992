/** Prose and a tokenizer for the tests of eval: sentences that tell where they stand, and tokens that are words and spaces. */
import { haystackOf } from "../../core/eval/haystack.ts";
import { tokenizerFromGguf } from "../../core/text/tokenizer.ts";
import { syntheticMetadata } from "../synthetic_tokenizer.ts";

export const tokenizer = tokenizerFromGguf(syntheticMetadata());

const PEOPLE = "Anna Boris Clara David Edith Frank Greta Henry Irene Jonas".split(" ");

/** Sentence n of the prose; every thirtieth ends with a place that stands nowhere else. */
const sentence = (n: number): string => {
  const person = PEOPLE[n % PEOPLE.length];
  const letters = String.fromCharCode(97 + n % 26, 97 + Math.floor(n / 26) % 26, 97 + Math.floor(n / 676) % 26);
  if (n % 30 === 7) return `In the month of that year ${person} went by ship to Port${letters}, and the dog came too.`;
  return `The cat and the dog of ${person} saw the end of the day, and the end was the start.`;
};

export const text = Array.from({ length: 1500 }, (_, n) => sentence(n)).join(" ");
export const haystack = haystackOf(tokenizer, text);
