/**
 * Real questions about real documents: nothing is inserted. 24 questions, each about one sentence of a State of the Union address of 2012 to 2015, asked
 * of that address alone (about 9,000 tokens) or of all four (about 33,000). An answer is right when it contains the words that are asked for.
 *
 *   npm run questions -- --budget 1024 --policies question,question-quote [--all-four] [--show]
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { peakRssBytes } from "../cli/host.ts";
import { spell } from "../core/engine/features.ts";
import { featuresFor } from "../core/policy.ts";
import { answer, type EngineModel, parsePolicy } from "../mod.ts";
import { openForBench } from "./open.ts";
import { stateOfTheUnion, wilson } from "./prose.ts";
import { QUESTIONS } from "./questions/address_questions.ts";

const { values: flags } = parseArgs({
  options: {
    budget: { type: "string", default: "1024" },
    policies: { type: "string", default: "question,question-quote" },
    "all-four": { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
    show: { type: "boolean", default: false },
  },
});

interface Result {
  question: string;
  policy: string;
  correct: boolean;
  answer: string;
}

async function ask(model: EngineModel, text: string, question: string, policy: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const events = answer(model, {
    command: "ask",
    sources: [{
      name: "address.txt",
      size: bytes.length,
      chunks: (async function* () {
        yield bytes;
      })(),
    }],
    instruction: question,
    policy,
    budget: { slots: policy === "full" ? bytes.length : Number(flags.budget) },
    chunkTokens: 512,
    positions: policy === "full" ? "original" : "auto",
    maxTokens: 64,
    strict: false,
    availableBytes: 16e9,
    peakRssBytes,
  });
  for await (const event of events) if (event.type === "result") return event.record.answer;
  throw new Error("No result");
}

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const file = join(folder, `questions-${flags["all-four"] ? "four" : "one"}-${flags.budget}.jsonl`);
const results: Result[] = existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Result)
  : [];
const models = new Map<string, EngineModel>();
const four = [2012, 2013, 2014, 2015].map(stateOfTheUnion).join("\n\n");

console.log(
  "| document | policy | budget | questions | right | 95 % interval |\n| --- | --- | --- | --- | --- | --- |",
);
for (const policy of flags.policies.split(",")) {
  const key = spell(featuresFor(parsePolicy(policy)));
  let model = models.get(key);
  if (!model) models.set(key, model = await openForBench(flags.model, policy, Number(flags.threads)));
  for (const [year, question, right] of QUESTIONS) {
    if (results.some((result) => result.question === question && result.policy === policy)) continue;
    const text = await ask(model, flags["all-four"] ? four : stateOfTheUnion(year), question, policy);
    const result = { question, policy, correct: text.includes(right), answer: text };
    results.push(result);
    appendFileSync(file, JSON.stringify(result) + "\n");
    if (flags.show) console.error(JSON.stringify(result));
  }
  const mine = results.filter((result) => result.policy === policy),
    right = mine.filter(({ correct }) => correct).length;
  const { share, low, high } = wilson(right, mine.length);
  console.log(
    `| ${flags["all-four"] ? "four addresses" : "one address"} | ${policy} | ${
      policy === "full" ? "all" : flags.budget
    } | ` +
      `${mine.length} | ${right} (${share.toFixed(0)} %) | ${low.toFixed(0)}–${high.toFixed(0)} % |`,
  );
}
for (const model of models.values()) await model.close();
