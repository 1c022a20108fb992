/**
 * What learned probes are worth: of held-out documents of four kinds that are read before their questions are known, how many of the slots that matter
 * stay (hit rate against the oracle, `design.md` section 7), and how likely the full cache's own answers remain (NLL). Four questions a document; all
 * policies see the same documents, so differences to the first policy are paired.
 *
 *   npm run learned -- --docs 64 --share 12.5 --policies "probe=window;aggregate=mean-unpooled,snapkv,role,judgeq,metasoft"
 *
 * In a spelled policy `;` stands for the comma. Every figure is appended to bench/results/ as a line of JSON, and a run goes on where one of the same
 * settings stopped. The kinds: chapters of a novel, speeches since 1990, this project's code, packages' manuals; training never sees these.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { collectGarbage } from "../cli/host.ts";
import { resolveBudget } from "../core/budget.ts";
import { argmax } from "../core/decode/write.ts";
import { spell } from "../core/engine/features.ts";
import { negativeLogLikelihood } from "../core/decode/log_probabilities.ts";
import { hitRate, klDivergence } from "../core/eval/fidelity.ts";
import { ORACLE_POLICY } from "../core/eval/measure.ts";
import { mean, standardError } from "../core/eval/statistics.ts";
import { parsePolicy } from "../core/policies.ts";
import { featuresFor, type Policy } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { answerTokens, plainTail } from "../core/tail.ts";
import { renderPrompt } from "../core/text/prompt.ts";
import type { Tokenizer } from "../core/text/tokenizer.ts";
import type { EngineModel } from "../mod.ts";
import { openForBench } from "./open.ts";
import { mobyDick, random, stateOfTheUnion } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    docs: { type: "string", default: "64" },
    tokens: { type: "string", default: "1000" },
    share: { type: "string", default: "12.5" },
    chunk: { type: "string", default: "256" },
    policies: { type: "string", default: "probe=window;aggregate=mean-unpooled,snapkv,role" },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
  },
});
const [docs, length, share, chunkTokens, threads] = [flags.docs, flags.tokens, flags.share, flags.chunk, flags.threads]
  .map(Number) as [number, number, number, number, number];
const specs = flags.policies.split(",").map((spec) => spec.replaceAll(";", ","));
const ANSWER = 24, QUESTION_TOKENS = 100;

interface Result {
  document: number;
  kind: string;
  policy: string;
  /** Means over the document's questions. */
  hitRate: number;
  nll: number;
  kl: number;
}

const root = join(import.meta.dirname, "..");
const filesBelow = (folder: string, end: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(end))
    .map((entry) => join(entry.parentPath, entry.name)).sort();
const joined = (paths: string[]) => paths.map((path) => readFileSync(path, "utf8")).join("\n\n");

const kinds: Record<string, () => string> = {
  novel: mobyDick,
  speeches: () => Array.from({ length: 27 }, (_, i) => stateOfTheUnion(1990 + i)).join("\n\n"),
  code: () => joined(filesBelow(join(root, "core"), ".ts")),
  manuals: () => {
    const folder = join(root, "node_modules");
    const names = readdirSync(folder).filter((name) => /^[a-z]/.test(name)).sort();
    return joined(names.map((name) => join(folder, name, "README.md")).filter((path) => existsSync(path)));
  },
};

const models = new Map<string, EngineModel>();
async function modelFor(policy: string): Promise<EngineModel> {
  const key = spell(featuresFor(parsePolicy(policy)));
  let model = models.get(key);
  if (!model) models.set(key, model = await openForBench(flags.model, policy, threads));
  return model;
}

/** A stretch of the kind's text with a fact in it, and four questions. */
function makeDocument(model: EngineModel, source: number[], index: number): { text: string; questions: string[] } {
  const next = random(7919 * index + 17), from = Math.floor(next() * (source.length - length));
  const stream = model.tokenizer.textStream();
  const text = source.slice(from, from + length).map((id) => stream.push(id)).join("") + stream.finish();
  const lines = text.split(/(?<=[.!?;}])\s+/), code = 10_000 + Math.floor(next() * 90_000);
  lines.splice(1 + Math.floor(next() * (lines.length - 1)), 0, `The access code of the northern archive is ${code}.`);
  const words = text.match(/\b[a-z]{7,}\b/g) ?? ["text"], word = words[Math.floor(next() * words.length)]!;
  return {
    text: lines.join(" "),
    questions: [
      "What is the access code of the northern archive?",
      `What does the text say about "${word}"?`,
      "What is the main point of the text?",
      "Write the next sentence of the text.",
    ],
  };
}

interface Asked {
  tail: number[];
  /** First tokens of the full cache's answer. */
  tokens: number[];
  logits: Float32Array;
  mass: Float32Array[];
}

/** Reads a document and calls `ask` for every question on the cache as it is after reading. */
async function reading<T>(
  spec: string,
  text: string,
  ask: (reader: Reader, policy: Policy, read: number) => Promise<T>,
) {
  const { tokenizer, engine, config } = await modelFor(spec === "full" ? ORACLE_POLICY : spec);
  const policy = parsePolicy(spec),
    head = tokenizer.encode(renderPrompt(tokenizer, { instruction: "" }).head, { control: true });
  const body = tokenizer.encode(text, { control: false }), ids = [...head, ...body];
  const reserve = QUESTION_TOKENS + ANSWER, positions = spec === "full" ? "original" : "auto";
  const reader = new Reader(engine, policy, {
    budget: resolveBudget({
      config,
      policy,
      request: { slots: spec === "full" ? ids.length : Math.round(body.length * share / 100) },
      chunkTokens,
      reserve,
      unboundedPositions: positions === "original",
      availableBytes: 16e9,
      packs: engine.packs,
    }),
    chunkTokens,
    reserve,
    positions,
    questionTokens: [],
    answerTokens: answerTokens(tokenizer, { instruction: "" }),
    tokenizer,
  });
  for (let from = 0; from < ids.length; from += chunkTokens) await reader.read(ids.slice(from, from + chunkTokens));
  return await ask(reader, policy, ids.length);
}

/** The rows that write `tokens` after the tail: logits, and attention mass where it is asked for. */
async function forced(reader: Reader, tail: number[], tokens: number[], scored: boolean) {
  await reader.write(tail.slice(0, -1));
  return reader.engine.pass(reader.cache, {
    tokens: [tail.at(-1)!, ...tokens.slice(0, -1)],
    firstPosition: reader.nextPosition,
    logitsRows: tokens.length,
    scoreRows: scored ? tokens.length : 0,
  });
}

/** The answer's tokens, the one that ends it not included. */
async function greedy(reader: Reader, { stopIds }: Tokenizer, tail: number[]): Promise<number[]> {
  const written: number[] = [];
  let token = argmax(await reader.write(tail));
  while (!stopIds.has(token) && written.length < ANSWER) {
    written.push(token);
    token = argmax(await reader.next(token));
  }
  return written;
}

const askFull = (text: string, questions: string[]) =>
  reading("full", text, async (reader, _policy, read) => {
    const { tokenizer } = await modelFor(ORACLE_POLICY), asked: Asked[] = [];
    for (const instruction of questions) {
      const tail = plainTail(tokenizer, { instruction });
      const tokens = await reader.aside(0, () => greedy(reader, tokenizer, tail));
      if (tokens.length === 0) continue;
      const { logits, mass } = await reader.aside(0, () => forced(reader, tail, tokens, true));
      asked.push({ tail, tokens, logits: logits!, mass: mass!.mean!.map((row) => row.slice(0, read)) });
    }
    return asked;
  });

/** The same for a policy, against the full cache. */
const askPolicy = (spec: string, text: string, asked: Asked[]) =>
  reading(spec, text, async (reader) => {
    const { cache } = reader, { vocab } = reader.engine.config;
    const kept = Array.from(cache.live, (_, head) => cache.sources(head).slice());
    const all = { hitRate: [] as number[], nll: [] as number[], kl: [] as number[] };
    for (const { tail, tokens, logits: full, mass } of asked) {
      const { logits } = await reader.aside(0, () => forced(reader, tail, tokens, false));
      all.hitRate.push(hitRate(mass, kept, reader.options.budget.slots));
      all.nll.push(negativeLogLikelihood(logits!, tokens, vocab));
      all.kl.push(klDivergence(full, logits!, vocab));
    }
    return { hitRate: mean(all.hitRate), nll: mean(all.nll), kl: mean(all.kl) };
  });

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const file = join(folder, `learned-${length}-${share}-${chunkTokens}.jsonl`);
const results: Result[] = existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Result)
  : [];
const { tokenizer } = await modelFor(ORACLE_POLICY);
const names = Object.keys(kinds), sources = names.map((kind) => tokenizer.encode(kinds[kind]!(), { control: false }));

for (let document = 0; document < docs; document++) {
  const missing = ["full", ...specs].filter((policy) =>
    !results.some((result) => result.document === document && result.policy === policy)
  );
  if (missing.length === 0) continue;
  const kind = document % names.length;
  const { text, questions } = makeDocument(await modelFor(ORACLE_POLICY), sources[kind]!, document);
  const asked = await askFull(text, questions), { vocab } = (await modelFor(ORACLE_POLICY)).config;
  for (const policy of missing) {
    const measured = policy === "full"
      ? {
        hitRate: 1,
        nll: mean(asked.map(({ logits, tokens }) => negativeLogLikelihood(logits, tokens, vocab))),
        kl: 0,
      }
      : await askPolicy(policy, text, asked);
    const result = { document, kind: names[kind]!, policy, ...measured };
    results.push(result);
    appendFileSync(file, JSON.stringify(result) + "\n");
  }
  collectGarbage();
  console.error(`document ${document + 1} of ${docs}`);
}

const spellMean = (values: number[], digits: number) =>
  `${mean(values).toFixed(digits)} ± ${(standardError(values) ?? 0).toFixed(digits)}`;
console.log(
  `| policy, ${length} tokens at ${share} % | documents | hit rate, % | − first | NLL | − first | KL |\n` +
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
);
for (const policy of ["full", ...specs]) {
  const mine = results.filter((result) => result.policy === policy && result.document < docs);
  const first = (result: Result) => results.find((one) => one.document === result.document && one.policy === specs[0])!;
  const column = (value: (result: Result) => number, digits: number) => [
    spellMean(mine.map(value), digits),
    policy === specs[0] || policy === "full"
      ? "–"
      : spellMean(mine.map((one) => value(one) - value(first(one))), digits),
  ];
  const cells = [
    ...column(({ hitRate }) => 100 * hitRate, 1),
    ...column(({ nll }) => nll, 3),
    spellMean(mine.map(({ kl }) => kl), 3),
  ];
  console.log(`| \`${policy}\` | ${mine.length} | ${cells.join(" | ")} |`);
}
for (const model of models.values()) await model.close();
