/**
 * A self-test on the user's own document: the model is asked for a passage that leads to a name or number which stands nowhere else in the text. The
 * answer begins with the passage's own words up to that place, so that even a small model knows what is wanted and only has to go on; it is a test of what
 * the memory kept, not of reading. What a model says without the document is measured beside it: a well-known text would be recited.
 */
import { InputError } from "../../errors.ts";
import { choose, seeded } from "../random.ts";
import type { Task } from "../task.ts";

/** Words of the sentence that are quoted: enough to tell it from others. */
const MIN_QUOTED = 5, MAX_QUOTED = 14;

/** Stretches of prose that are looked at before the text is refused. */
const STRETCHES = 10;

/** A place of the text that can be asked for. */
interface Cloze {
  /** The sentence up to the word. */
  quoted: string;
  answer: string;
  /** Characters from the text's start. */
  at: number;
}

/** Names and numbers that stand once in `text`, with the words of their sentence before them. */
export function clozes(text: string): Cloze[] {
  const seen = new Map<string, number>();
  for (const [word] of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    seen.set(word.toLowerCase(), (seen.get(word.toLowerCase()) ?? 0) + 1);
  }
  const found: Cloze[] = [];
  for (const match of text.matchAll(/[^.!?\n][^.!?]*[.!?]/g)) {
    const sentence = match[0];
    for (const word of sentence.matchAll(/(?<![\p{L}\p{N}'’-])(?:\p{Lu}\p{Ll}{3,}|\d{2,})(?![\p{L}\p{N}'’-])/gu)) {
      const before = sentence.slice(0, word.index).replace(/\s+/g, " ").trim();
      const words = before.split(" ");
      // a capital behind a quotation mark or colon may only be a sentence's start
      if (words.length < MIN_QUOTED || !/[\p{L}\p{N},]$/u.test(before) || seen.get(word[0].toLowerCase()) !== 1) {
        continue;
      }
      found.push({
        quoted: words.slice(-MAX_QUOTED).join(" "),
        answer: word[0],
        at: match.index + word.index,
      });
    }
  }
  return found;
}

export const recall: Task = {
  name: "recall",
  summary: "a sentence of your own text is begun, and its rare name or number must follow",
  needsProse: true,
  make(haystack, tokens, seed) {
    const next = seeded(seed);
    let context = "", places: Cloze[] = [];
    // a poor stretch must not end a run of hours
    for (let tries = 0; places.length === 0 && tries < STRETCHES; tries++) {
      context = haystack.prose(tokens, next);
      places = clozes(context);
    }
    if (places.length === 0) {
      throw new InputError(
        `Task recall found no name or number that stands only once, in ${STRETCHES} stretches of ${tokens} tokens of the prose: ` +
          "choose a larger --length, other files, or other tasks",
      );
    }
    // a tenth of the text first, then one of its places: rich pages must not be asked about more often than others
    const tenth = (place: Cloze) => Math.floor(10 * place.at / context.length);
    const chosen = choose(next, [...new Set(places.map(tenth))]);
    const { quoted, answer, at } = choose(next, places.filter((place) => tenth(place) === chosen));
    // the question stops early: were it to quote as far as the answer begins, its closing mark would be what follows
    const begin = quoted.split(" ").slice(0, MIN_QUOTED - 1).join(" ");
    return {
      task: "recall",
      context,
      question: `Quote the passage of the text above that begins "${begin}".`,
      answerPrefix: `"${quoted}`,
      answers: [answer],
      maxNewTokens: 12,
      metric: "all",
      depth: at / context.length,
      guessable: true,
      seed,
    };
  },
};
