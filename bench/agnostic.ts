/**
 * Read once, ask ten times: a text is read before its questions are known, at a quarter of its slots, and then asked about names and numbers that stand
 * in it once. Counted are only questions that the full cache answers and the model without the text does not.
 *
 *   npm run agnostic -- --tokens 8000 --texts 12 --policies snapkv,role,probe=role;aggregate=mean-unpooled;recall=quote
 *
 * In a spelled policy `;` stands for the comma. Every answer is appended to bench/results/ as a line of JSON, and a run goes on where one of the same
 * settings stopped.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { resolveBudget } from "../core/budget.ts";
import { decode } from "../core/decode/write.ts";
import { spell } from "../core/engine/features.ts";
import { clozes } from "../core/eval/tasks/recall.ts";
import { parsePolicy } from "../core/policies.ts";
import { featuresFor } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { answerTokens, plainTail, recalledTail, type TailRequest } from "../core/tail.ts";
import { renderPrompt } from "../core/text/prompt.ts";
import type { EngineModel } from "../mod.ts";
import { openForBench } from "./open.ts";
import { mobyDick, random, wilson } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "8000" },
    share: { type: "string", default: "25" },
    texts: { type: "string", default: "12" },
    questions: { type: "string", default: "10" },
    policies: { type: "string", default: "snapkv,role,keydiff" },
    threads: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    model: { type: "string" },
  },
});
const [tokens, share, texts, wanted, threads, seed] = [
  flags.tokens,
  flags.share,
  flags.texts,
  flags.questions,
  flags.threads,
  flags.seed,
].map(Number) as [number, number, number, number, number, number];
const policies = flags.policies.split(",").map((spec) => spec.replaceAll(";", ","));
const CHUNK = 512, ANSWER = 12, QUESTION_TOKENS = 200;

interface Question extends TailRequest {
  right: string;
}
interface Result {
  text: number;
  question: number;
  policy: string;
  correct: boolean;
  right: string;
  answer: string;
}

const models = new Map<string, EngineModel>();
async function modelFor(policy: string): Promise<EngineModel> {
  const key = spell(featuresFor(parsePolicy(policy)));
  let model = models.get(key);
  if (!model) models.set(key, model = await openForBench(flags.model, policy, threads));
  return model;
}

/** Reads the text without a question, then asks all of them, each on the cache as it was after reading. */
async function readAndAsk(spec: string, text: string, slots: number, questions: Question[]): Promise<string[]> {
  const model = await modelFor(spec), { tokenizer, engine, config } = model, policy = parsePolicy(spec);
  const { head } = renderPrompt(tokenizer, { instruction: "" });
  const headIds = tokenizer.encode(head, { control: true });
  const ids = [...headIds, ...tokenizer.encode(text, { control: false })];
  const reserve = policy.recall.tokens + QUESTION_TOKENS + ANSWER, positions = spec === "full" ? "original" : "auto";
  const reader = new Reader(engine, policy, {
    budget: resolveBudget({
      config,
      policy,
      request: { slots: spec === "full" ? Math.max(ids.length, 64) : slots },
      chunkTokens: CHUNK,
      reserve,
      unboundedPositions: positions === "original",
      availableBytes: 16e9,
      packs: engine.packs,
    }),
    chunkTokens: CHUNK,
    reserve,
    positions,
    questionTokens: [],
    answerTokens: answerTokens(tokenizer, { instruction: "" }),
    tokenizer,
  });
  for (let from = 0; from < ids.length; from += CHUNK) await reader.read(ids.slice(from, from + CHUNK));
  const answers: string[] = [];
  for (const question of questions) {
    answers.push(
      await reader.aside(0, async () => {
        const { tokens: tail } = await recalledTail(reader, tokenizer, question, headIds.length);
        let written = "";
        for await (const step of decode(reader, tokenizer, tail, ANSWER)) written += step.text;
        return written;
      }),
    );
  }
  return answers;
}

/** Places of the text, evenly spread, as questions that begin the sentence and leave the name or number out. */
function candidates(model: EngineModel, text: string, count: number): Question[] {
  const places = clozes(text), step = Math.max(1, places.length / count);
  return Array.from({ length: Math.min(count, places.length) }, (_, i) => places[Math.floor(i * step)]!)
    .map(({ quoted, answer }) => ({
      instruction: `Quote the passage of the text above that begins "${quoted.split(" ").slice(0, 4).join(" ")}".`,
      opening: `"${quoted}`,
      right: answer,
    })).filter((question) => plainTail(model.tokenizer, question).length < QUESTION_TOKENS);
}

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const file = join(folder, `agnostic-${tokens}-${share}-${seed}.jsonl`);
const results: Result[] = existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Result)
  : [];
const any = await modelFor(policies[0]!), prose = any.tokenizer.encode(mobyDick(), { control: false });
const isRight = (answer: string, right: string) => answer.toLowerCase().includes(right.toLowerCase());

for (let text = 0; text < texts; text++) {
  const missing = policies.filter((policy) => !results.some((one) => one.text === text && one.policy === policy));
  if (missing.length === 0) continue;
  const next = random(seed * 1_000_003 + text), from = Math.floor(next() * (prose.length - tokens));
  const stream = any.tokenizer.textStream();
  const document = prose.slice(from, from + tokens).map((id) => stream.push(id)).join("") + stream.finish();
  const all = candidates(any, document, 3 * wanted);
  const known = await readAndAsk("full", document, tokens, all), guessed = await readAndAsk("full", "-", 64, all);
  const asked = all.filter(({ right }, i) => isRight(known[i]!, right) && !isRight(guessed[i]!, right)).slice(
    0,
    wanted,
  );
  for (const policy of missing) {
    const answers = await readAndAsk(policy, document, Math.round(tokens * share / 100), asked);
    asked.forEach(({ right }, question) => {
      const answer = answers[question]!,
        result = { text, question, policy, correct: isRight(answer, right), right, answer };
      results.push(result);
      appendFileSync(file, JSON.stringify(result) + "\n");
    });
  }
}

console.log(
  `| policy, ${tokens} tokens at ${share} % | texts | questions | right | 95 % interval |\n| --- | --- | --- | --- | --- |`,
);
for (const policy of policies) {
  const mine = results.filter((result) => result.policy === policy && result.text < texts);
  const right = mine.filter(({ correct }) => correct).length,
    { share: percent, low, high } = wilson(right, mine.length);
  console.log(
    `| ${policy} | ${new Set(mine.map(({ text }) => text)).size} | ${mine.length} | ${right} (${
      percent.toFixed(0)
    } %) | ` +
      `${low.toFixed(0)}–${high.toFixed(0)} % |`,
  );
}
for (const model of models.values()) await model.close();
