/**
 * A needle whose question shares no content word with it: a policy that only matches words finds nothing. A test holds every pair to that. What is asked
 * for is invented anew for every document, so that nobody knows it beforehand. The idea is that of NoLiMa (arXiv 2502.05167); the pairs are our own.
 */
import { depths, hide } from "../haystack.ts";
import { between, choose, seeded } from "../random.ts";
import type { Task } from "../task.ts";
import { inventedName } from "../words.ts";
import { pairs } from "./paraphrase_pairs.ts";

export const paraphrase: Task = {
  name: "paraphrase",
  summary: "a fact in prose, asked for in other words",
  needsProse: true,
  make(haystack, tokens, seed) {
    const next = seeded(seed), pair = choose(next, pairs);
    const answer = pair.asks === "name" ? inventedName(next) : String(between(next, 1000, 99999));
    const needle = pair.needle.replaceAll("{answer}", answer).replaceAll("{other}", inventedName(next));
    const [depth] = depths(next, 1);
    const prose = haystack.prose(tokens - haystack.count(` ${needle}`), next);
    return {
      task: "paraphrase",
      context: hide(prose, [{ text: needle, depth: depth! }]),
      question: `Answer from the text above: ${pair.question}`,
      answerPrefix: pair.asks === "name" ? "The name is" : "The number is",
      answers: [answer],
      maxNewTokens: 32,
      metric: "all",
      depth: depth!,
      seed,
    };
  },
};
