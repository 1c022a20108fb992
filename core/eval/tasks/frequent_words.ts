/** RULER's frequent words (fwe): coded words whose counts fall with their rank as a Zipf law with α = 2; which three are the most frequent? */
import { fill } from "../haystack.ts";
import { between, distinct, seeded, shuffled } from "../random.ts";
import type { Task } from "../task.ts";

const ALPHA = 2, ASKED = 3, VOCABULARY = 200;

export const frequentWords: Task = {
  name: "fwe",
  summary: "the three most frequent words of a coded text",
  needsProse: false,
  make(haystack, tokens, seed) {
    const next = seeded(seed);
    const letter = () => String.fromCharCode(between(next, 97, 122));
    const codes = distinct(VOCABULARY, () => Array.from({ length: 6 }, letter).join(""));
    // the first rank is noise, as RULER has it
    const vocabulary = ["...", ...codes];
    let zeta = 0;
    for (let rank = 1; rank <= vocabulary.length; rank++) zeta += rank ** -ALPHA;
    const words = (n: number) =>
      vocabulary.flatMap((word, i) => Array<string>(Math.floor(n * (i + 1) ** -ALPHA / zeta)).fill(word));
    const head = "Read the following coded text and track the frequency of each coded word. " +
      "Find the three most frequently appeared coded words. ";
    const room = tokens - haystack.count(head);
    const { n } = fill(haystack, room, (n) => words(n).join(" "));
    return {
      task: "fwe",
      context: head + shuffled(seeded(seed + 1), words(n)).join(" "),
      question: "Question: Do not provide any explanation. Please ignore the dots '....'. " +
        "What are the three most frequently appeared words in the above coded text?",
      answerPrefix: "Answer: According to the coded text above, the three most frequently appeared words are:",
      answers: codes.slice(0, ASKED),
      maxNewTokens: 50,
      metric: "all",
      seed,
    };
  },
};
