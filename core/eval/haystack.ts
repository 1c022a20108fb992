/** Where needles are hidden: prose of a wished number of tokens, cut from the user's own text with the model's tokenizer. */
import { InputError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { between, type Random } from "./random.ts";

export interface Haystack {
  /** Tokens of a text. */
  count(text: string): number;
  /** Tokens of all prose there is. */
  readonly tokens: number;
  /**
   * Whole sentences of the prose, about `tokens` tokens of them (at most a sentence's end apart), from a place that `next` chooses.
   * @throws {InputError} when the prose is shorter
   */
  prose(tokens: number, next: Random): string;
}

/** A sentence's end that is searched for at both ends of a cut; further away, the cut is made between words. */
const SENTENCE_TOKENS = 60;

/** @param text all prose, in memory: measurements cut from anywhere in it */
export function haystackOf(tokenizer: Pick<Tokenizer, "encode" | "textStream">, text: string): Haystack {
  const encode = (piece: string) => tokenizer.encode(piece, { control: false });
  const ids = encode(text);
  const decode = (from: number, to: number) => {
    const stream = tokenizer.textStream();
    let out = "";
    for (let i = from; i < to; i++) out += stream.push(ids[i]!);
    return out + stream.finish();
  };
  return {
    tokens: ids.length,
    count: (piece) => encode(piece).length,
    prose(tokens, next) {
      if (tokens <= 0) return "";
      if (ids.length < tokens) {
        throw new InputError(
          `The prose has ${ids.length} tokens and a document of ${tokens} is to be cut from it: ` +
            `name more or longer files, or a smaller --length`,
        );
      }
      const slack = Math.max(0, Math.min(SENTENCE_TOKENS, ids.length - tokens));
      const from = between(next, 0, ids.length - tokens - slack);
      // to a sentence's start, then so many tokens, then back to a sentence's end: documents begin and end as texts do
      const lead = from === 0 ? "" : decode(from, from + slack);
      const skipped = /[.!?]["”’)]*\s+(?=\S)/.exec(lead);
      const first = from + (skipped ? encode(lead.slice(0, skipped.index + skipped[0].length)).length : 0);
      const body = decode(first, first + tokens);
      const tail = decode(first + tokens - Math.min(tokens >> 2, SENTENCE_TOKENS), first + tokens);
      const end = /^[\s\S]*[.!?]["”’)]*(?=\s|$)/.exec(tail);
      const cut = end ? body.slice(0, body.length - tail.length + end[0].length) : body.replace(/\s+\S*$/, "");
      return cut.replace(/^[^\S\n]*\S*\uFFFD/, "").trim();
    },
  };
}

/** What is hidden, and where: 0 is before the first sentence, 1 behind the last. */
export interface Needle {
  text: string;
  depth: number;
}

/** Puts needles between sentences, in their order where two have the same place. */
export function hide(prose: string, needles: readonly Needle[]): string {
  const sentences = prose.split(/(?<=[.!?]["”’)]?)(?=\s)/);
  const at = needles.map(({ depth }) => Math.round(depth * sentences.length));
  let text = "";
  for (let i = 0; i <= sentences.length; i++) {
    needles.forEach((needle, n) => {
      if (at[n] === i) text += text === "" ? needle.text : ` ${needle.text}`;
    });
    const sentence = sentences[i] ?? "";
    // the first sentence brings no space of its own
    text += text !== "" && i === 0 ? ` ${sentence}` : sentence;
  }
  return text;
}

/** RULER's forty places from start to end. */
export const depths = (next: Random, count: number): number[] =>
  Array.from({ length: count }, () => between(next, 0, 39) / 39);

/** The largest text of `make(n)`, n = 1, 2, …, that has at most `tokens` tokens, by bisection; `make` must grow with n. */
export function fill(haystack: Haystack, tokens: number, make: (n: number) => string): { n: number; text: string } {
  let low = 1, high = 2;
  while (haystack.count(make(high)) <= tokens) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (haystack.count(make(middle)) <= tokens) low = middle;
    else high = middle;
  }
  return { n: low, text: make(low) };
}
