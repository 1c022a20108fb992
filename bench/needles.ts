/**
 * Needles in prose: does the policy find a fact that the full cache finds? A document is a stretch of real prose of a given length into which one
 * sentence (or four of the same form with different keys) is put at random depths; the question asks for one of them.
 *
 *   npm run needles -- --tokens 2000 --budget 512 --docs 100 --keys 1,4 --policies full,question
 *
 * Every answer is appended to bench/results/ as a line of JSON, and a run goes on where an earlier one of the same settings stopped. `--first 50` starts
 * at that document, so that two checkouts may share the work: put their lines into one file, and the table comes at once.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { peakRssBytes } from "../cli/host.ts";
import { answer, type EngineModel, parsePolicy } from "../mod.ts";
import { spell } from "../core/engine/features.ts";
import { featuresFor } from "../core/policy.ts";
import { openForBench } from "./open.ts";
import { documentSeed, makeTask, type Task } from "./needle_task.ts";
import { mobyDick, wilson } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "2000" },
    budget: { type: "string", default: "512" },
    docs: { type: "string", default: "100" },
    first: { type: "string", default: "0" },
    keys: { type: "string", default: "1,4" },
    policies: { type: "string", default: "full,question" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
    opening: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
  },
});

interface Result {
  document: number;
  policy: string;
  correct: boolean;
  value: string;
  depth: number;
  answer: string;
}

async function ask(model: EngineModel, task: Task, policy: string, budget: number, tokens: number): Promise<string> {
  const bytes = new TextEncoder().encode(task.document);
  const events = answer(model, {
    command: "ask",
    sources: [{ name: "needles.txt", size: bytes.length, chunks: once(bytes) }],
    instruction: task.question,
    opening: flags.opening ? task.opening : "",
    policy,
    budget: { slots: policy === "full" ? tokens + 200 : budget },
    chunkTokens: 512,
    // the full cache is the reference, also where it would pass the trained positions
    positions: policy === "full" ? "original" : "auto",
    maxTokens: 32,
    strict: false,
    availableBytes: 16e9,
    peakRssBytes,
  });
  for await (const event of events) if (event.type === "result") return event.record.answer;
  throw new Error("No result");
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const [tokens, budget, docs, seed, threads] = [flags.tokens, flags.budget, flags.docs, flags.seed, flags.threads].map(
  Number,
) as [
  number,
  number,
  number,
  number,
  number,
];
const policies = flags.policies.split(",");
/** The graph gives what one policy needs, so that each has its own session; `full` needs nothing and takes any. */
const models = new Map<string, EngineModel>();
async function modelFor(policy: string): Promise<EngineModel> {
  const wanted = spell(featuresFor(parsePolicy(policy)));
  const key = policy === "full" ? models.keys().next().value ?? wanted : wanted;
  let model = models.get(key);
  if (!model) models.set(key, model = await openForBench(flags.model, policy, threads));
  return model;
}
const model = await modelFor(policies.find((name) => name !== "full") ?? "full");
const prose = model.tokenizer.encode(mobyDick(), { control: false });
const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });

console.log(
  "| tokens | keys | policy | budget | documents | correct | 95 % interval |\n| --- | --- | --- | --- | --- | --- | --- |",
);
for (const keys of flags.keys.split(",").map(Number)) {
  const file = join(folder, `needles-${tokens}-${budget}-${keys}-${seed}${flags.opening ? "-opening" : ""}.jsonl`);
  const results: Result[] = existsSync(file)
    ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Result)
    : [];
  for (let document = Number(flags.first); document < docs; document++) {
    const task = makeTask(model.tokenizer, prose, tokens, keys, documentSeed(seed, document, keys));
    for (const policy of policies) {
      if (results.some((result) => result.document === document && result.policy === policy)) continue;
      const text = await ask(await modelFor(policy), task, policy, budget, tokens);
      const { value, depth } = task;
      const result = { document, policy, correct: text.includes(value), value, depth, answer: text };
      results.push(result);
      appendFileSync(file, JSON.stringify(result) + "\n");
      if (flags.show) console.error(JSON.stringify(result));
    }
  }
  for (const policy of policies) {
    const mine = results.filter((result) => result.policy === policy && result.document < docs);
    const hits = mine.filter((result) => result.correct).length, { share, low, high } = wilson(hits, mine.length);
    const slots = policy === "full" ? "all" : budget;
    console.log(
      `| ${tokens} | ${keys} | ${policy} | ${slots} | ${mine.length} | ${hits} (${share.toFixed(0)} %) | ${
        low.toFixed(0)
      }–${high.toFixed(0)} % |`,
    );
  }
}
for (const opened of models.values()) await opened.close();
