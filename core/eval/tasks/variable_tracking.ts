/** RULER's variable tracking (vt): one chain of four assignments in noise; which variables end up with the value? Differs: no worked example. */
import { depths, fill } from "../haystack.ts";
import { between, distinct, seeded } from "../random.ts";
import type { Task } from "../task.ts";

const NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
/** Hops: five variables have the value in the end. */
const HOPS = 4;

export const variableTracking: Task = {
  name: "vt",
  summary: "five variables that one value is handed on to, in noise",
  needsProse: false,
  make(haystack, tokens, seed) {
    const next = seeded(seed);
    const letter = () => String.fromCharCode(between(next, 65, 90));
    const names = distinct(HOPS + 1, () => Array.from({ length: 5 }, letter).join(""));
    const value = String(between(next, 10000, 99999));
    const chain = names.map((name, i) => i === 0 ? `VAR ${name} = ${value}` : `VAR ${name} = VAR ${names[i - 1]}`);
    const head = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n";
    const room = tokens - haystack.count(head + chain.join("\n"));
    const { n } = fill(haystack, room, (n) => Array(n).fill(NOISE).join("\n"));
    const lines = Array<string>(n).fill(NOISE);
    // the chain keeps its order
    const places = depths(next, chain.length).sort((a, b) => a - b);
    for (let i = chain.length - 1; i >= 0; i--) lines.splice(Math.round(places[i]! * n), 0, chain[i]!);
    return {
      task: "vt",
      context: head + lines.join("\n"),
      question: `Question: Find all variables that are assigned the value ${value} in the text above.`,
      answerPrefix: `Answer: According to the chain(s) of variable assignment in the text above, ${names.length} ` +
        `variables are assigned the value ${value}, they are:`,
      answers: names,
      maxNewTokens: 30,
      metric: "all",
      seed,
    };
  },
};
