/**
 * The documents that both sides read, one JSON line each: needles in prose as `npm run needles` makes them with the same settings, and the token ids of
 * the prompt as our own reader forwards them, so that kvpress need not tokenise.
 *
 *   bun bench/kvpress/samples.ts --docs 60 --out samples.jsonl
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { cacheFolder } from "../../cli/folders.ts";
import { resolveModel } from "../../cli/store.ts";
import { renderPrompt } from "../../core/text/prompt.ts";
import type { Tokenizer } from "../../core/text/tokenizer.ts";
import { openTokenizer } from "../llama/prompt.ts";
import { documentSeed, makeTask } from "../needle_task.ts";
import { mobyDick } from "../prose.ts";

/** What `peer.py` reads. The prompt is `head`, `question`, `rest` in this order. */
interface Sample {
  id: number;
  document: string;
  questionText: string;
  value: string;
  depth: number;
  /** Ids of the chat template's start and of the document. */
  head: number[];
  /** Ids of the question as the user's message ends with it. */
  question: number[];
  /** Ids from the end of the user's message to where the answer starts, with `--opening` its first words too. */
  rest: number[];
}

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "2000" },
    docs: { type: "string", default: "60" },
    keys: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    opening: { type: "boolean", default: false },
    model: { type: "string" },
    out: { type: "string", default: "samples.jsonl" },
  },
});

const [tokens, docs, keys, seed] = [flags.tokens, flags.docs, flags.keys, flags.seed].map(Number) as [
  number,
  number,
  number,
  number,
];
const name = flags.model ?? process.env["PALIMPSEST_TEST_MODEL"] ?? "smollm2-135m";
const tokenizer = await openTokenizer((await resolveModel(cacheFolder(), name)).path);
const prose = tokenizer.encode(mobyDick(), { control: false });
const samples = Array.from({ length: docs }, (_, id) => sample(tokenizer, id));
writeFileSync(flags.out, samples.map((line) => JSON.stringify(line) + "\n").join(""));
console.error(`${docs} documents, prompts of ${range(samples.map((line) => line.head.length))} tokens and a question`);

function sample(tokenizer: Tokenizer, id: number): Sample {
  const task = makeTask(tokenizer, prose, tokens, keys, documentSeed(seed, id, keys));
  const prompt = renderPrompt(tokenizer, { instruction: task.question });
  const document = tokenizer.stream();
  const head = [
    ...tokenizer.encode(prompt.head, { control: true }),
    ...document.push(task.document),
    ...document.finish(),
  ];
  const tail = tokenizer.encode(prompt.tail, { control: true });
  const question = tokenizer.encode(`\n\n${task.question}`, { control: false });
  if (question.some((token, i) => tail[i] !== token)) {
    throw new Error("The template does not begin its tail with the question");
  }
  const opening = flags.opening ? tokenizer.encode(task.opening, { control: false }) : [];
  return {
    id,
    document: task.document,
    questionText: task.question,
    value: task.value,
    depth: task.depth,
    head,
    question,
    rest: [...tail.slice(question.length), ...opening],
  };
}

function range(numbers: number[]): string {
  return `${Math.min(...numbers)} to ${Math.max(...numbers)}`;
}
