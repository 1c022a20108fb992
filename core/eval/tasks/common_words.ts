/**
 * RULER's common words (cwe): ten words stand thirty times in a numbered list, all others three times. Differs: where the list has no room for that,
 * ten times and once, and in very short ones five times and once; no worked example.
 */
import { fill } from "../haystack.ts";
import { seeded, shuffled } from "../random.ts";
import type { Task } from "../task.ts";
import { ADJECTIVES, key, NOUNS } from "../words.ts";

const COMMON = 10;
/** Times that common and other words are written, the first that fits. */
const FREQUENCIES = [[30, 3], [10, 1], [5, 1]] as const;

export const commonWords: Task = {
  name: "cwe",
  summary: "the ten words that a list repeats most",
  needsProse: false,
  make(haystack, tokens, seed) {
    const next = seeded(seed);
    const known = new Set(shuffled(next, [...ADJECTIVES, ...NOUNS]));
    const head = "Below is a numbered list of words. In these words, some appear more often than others. " +
      "Memorize the ones that appear most often.\n";
    const room = tokens - haystack.count(head);
    const order = seeded(seed + 1);
    const write = (others: number, [often, seldom]: readonly [number, number]) => {
      // a list longer than our words goes on with pairs of them
      while (known.size < COMMON + others) known.add(key(next));
      const pool = [...known];
      return [
        ...pool.slice(0, COMMON).flatMap((word) => Array<string>(often).fill(word)),
        ...pool.slice(COMMON, COMMON + others).flatMap((word) => Array<string>(seldom).fill(word)),
      ];
    };
    const numbered = (words: string[]) => words.map((word, i) => `${i + 1}. ${word}`).join(" ");
    const times = FREQUENCIES.find((times) => haystack.count(numbered(write(COMMON, times))) <= room) ??
      FREQUENCIES[2];
    const { n } = fill(haystack, room, (n) => numbered(write(n, times)));
    return {
      task: "cwe",
      context: head + numbered(shuffled(order, write(n, times))),
      question: "Question: What are the 10 most common words in the above list?",
      answerPrefix: "Answer: The top 10 words that appear most often in the list are:",
      answers: [...known].slice(0, COMMON),
      maxNewTokens: 120,
      metric: "all",
      seed,
    };
  },
};
