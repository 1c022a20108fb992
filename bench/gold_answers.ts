/**
 * What a policy leaves of the right answer: of documents longer than the budget, how likely the task's own answer (not the full cache's) is when the
 * question comes, how far the rows that write it are from the full cache's, and whether the model then writes it. Policies may have budgets of their own,
 * so that different things can be given the same bytes. All see the same documents: differences to the first policy are paired.
 *
 *   npm run gold-answers -- --tokens 8000 --docs 8 --tasks vt,cwe,niah_single_2 --policies indexer@1028,indexmem@1024
 *
 * In a spelled policy `;` stands for the comma, and `@` gives the slots or, with a unit, the bytes, and what keys and values are stored in:
 * `question@26MiB:int8`. The documents' question is not known while they are read, but with `--aware`. Every figure is appended to bench/results/ as a line of JSON, and a run goes on
 * where one of the same settings stopped.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { evalBudget } from "../cli/eval_flags.ts";
import { collectGarbage } from "../cli/host.ts";
import { negativeLogLikelihood } from "../core/decode/log_probabilities.ts";
import { klDivergence } from "../core/eval/fidelity.ts";
import { haystackOf } from "../core/eval/haystack.ts";
import { ORACLE_POLICY } from "../core/eval/measure.ts";
import { score } from "../core/eval/metrics.ts";
import { type Models, modelsFrom } from "../core/eval/models.ts";
import { parsePolicy } from "../core/policies.ts";
import { leastBudget } from "../core/policy.ts";
import { FULL, read } from "../core/eval/reading.ts";
import { mean, standardError } from "../core/eval/statistics.ts";
import { type EvalBudget, requestOf } from "../core/eval/result.ts";
import type { Sample } from "../core/eval/task.ts";
import { findTask } from "../core/eval/tasks.ts";
import type { Positions } from "../core/record.ts";
import type { StoredType } from "../core/stored_rows.ts";
import { openForBench } from "./open.ts";
import { mobyDick } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "8000" },
    docs: { type: "string", default: "8" },
    tasks: { type: "string", default: "vt,cwe,niah_single_2" },
    policies: { type: "string", default: "indexer@1028,indexmem@1024" },
    chunk: { type: "string", default: "512" },
    positions: { type: "string", default: "auto" },
    aware: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
  },
});
const [tokens, docs, chunkTokens, threads] = [flags.tokens, flags.docs, flags.chunk, flags.threads]
  .map(Number) as [number, number, number, number];
const cells = flags.policies.split(",").map((spec) => {
  const [policy = "", more = "1024"] = spec.replaceAll(";", ",").split("@");
  const [budget = "", kvType = "f32"] = more.split(":") as [string, StoredType?];
  return { name: spec, policy, kvType, budget: evalBudget(budget) };
});
const positions = flags.positions as "auto" | Positions;
const settings = { chunkTokens, positions, availableBytes: 16e9, collectGarbage } as const;

interface Result {
  task: string;
  document: number;
  /** The name of a cell, or `full`. */
  policy: string;
  nll: number;
  kl: number;
  score: number;
  /** Slots per head, and bytes of the cache. */
  slots?: number;
  bytes?: number;
}

/** The right answer as it follows the prompt. */
const goldTokens = ({ answers, answerPrefix }: Sample, encode: (text: string) => number[]) =>
  encode(`${answerPrefix === "" ? "" : " "}${answers.join(", ")}`);

const opened = new Map<StoredType, Models>();
/** Models whose caches store their rows so. */
function modelsIn(kvType: StoredType): Models {
  const models = opened.get(kvType) ??
    modelsFrom((policy) => openForBench(flags.model, policy, threads, undefined, kvType));
  opened.set(kvType, models);
  return models;
}
const { tokenizer, config: { vocab } } = await modelsIn("f32").for(ORACLE_POLICY);
const haystack = haystackOf(tokenizer, mobyDick());

/** Reads with one policy: the logits of the rows that write the right answer, and what is written instead of it. */
async function answer(policy: string, budget: EvalBudget | null, kvType: StoredType, sample: Sample, gold: number[]) {
  const request = budget && requestOf(budget, tokens, leastBudget(parsePolicy(policy))),
    model = await modelsIn(kvType).for(policy);
  const reading = await read(
    model,
    sample,
    request ? policy : FULL,
    request,
    request !== null && flags.aware,
    settings,
  );
  const { logits } = await reading.forced(gold, false),
    { text } = await reading.write(sample.maxNewTokens, () => false);
  return {
    logits: logits!,
    score: score(text, sample),
    slots: reading.budgetSlots,
    bytes: reading.costs.kvBytes,
  };
}

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const settled = [tokens, chunkTokens, ...(positions === "auto" ? [] : [positions]), ...(flags.aware ? ["aware"] : [])];
const file = join(folder, `gold-answers-${settled.join("-")}.jsonl`);
const results: Result[] = existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Result)
  : [];
const names = flags.tasks.split(",").map((name) => findTask(name).name);

for (let document = 0; document < docs; document++) {
  for (const task of names) {
    const done = (policy: string) =>
      results.some((one) => one.document === document && one.task === task && one.policy === policy);
    const missing = cells.filter(({ name }) => !done(name));
    if (missing.length === 0) continue;
    const sample = findTask(task).make(haystack, tokens, 1000 + document);
    const gold = goldTokens(sample, (text) => tokenizer.encode(text, { control: false }));
    const full = await answer(ORACLE_POLICY, null, "f32", sample, gold);
    const note = (policy: string, { logits, ...found }: Awaited<ReturnType<typeof answer>>) => {
      const nll = negativeLogLikelihood(logits, gold, vocab), kl = klDivergence(full.logits, logits, vocab);
      const result = { task, document, policy, nll, kl, ...found };
      results.push(result);
      appendFileSync(file, JSON.stringify(result) + "\n");
    };
    if (!done("full")) note("full", full);
    for (const { name, policy, budget, kvType } of missing) {
      note(name, await answer(policy, budget, kvType, sample, gold));
    }
    console.error(`${task} ${document + 1} of ${docs}`);
  }
}

const spellMean = (values: number[], digits = 3) =>
  `${mean(values).toFixed(digits)} ± ${(standardError(values) ?? 0).toFixed(digits)}`;
console.log(
  `| task, ${tokens} tokens | policy | slots | MiB | documents | score | NLL of the right answer | − first | KL | − first |\n` +
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
);
for (const task of names) {
  for (const policy of ["full", ...cells.map(({ name }) => name)]) {
    const mine = results.filter((one) => one.task === task && one.policy === policy && one.document < docs);
    const first = (one: Result) =>
      results.find((other) =>
        other.task === task && other.document === one.document && other.policy === cells[0]!.name
      )!;
    const isFirst = policy === "full" || policy === cells[0]!.name;
    const difference = (of: (one: Result) => number) =>
      isFirst ? "–" : spellMean(mine.map((one) => of(one) - of(first(one))));
    const columns = [
      `${(100 * mean(mine.map(({ score }) => score))).toFixed(0)} %`,
      spellMean(mine.map(({ nll }) => nll)),
      difference(({ nll }) => nll),
      spellMean(mine.map(({ kl }) => kl)),
      difference(({ kl }) => kl),
    ];
    const of = (one: (result: Result) => number | undefined) => mean(mine.map((result) => one(result) ?? NaN));
    const size = [of(({ slots }) => slots).toFixed(0), (of(({ bytes }) => bytes) / 2 ** 20).toFixed(1)];
    console.log(`| ${task} | \`${policy}\` | ${size.join(" | ")} | ${mine.length} | ${columns.join(" | ")} |`);
  }
}
for (const models of opened.values()) await models.close();
