/**
 * What a decode policy loses: real prose is read (a prompt of some hundred tokens) and then "written" as it stands, by the full cache and
 * by every policy inside every decode budget, side by side. Reported are the tokens from the first eviction on: negative log-likelihood above the full
 * cache's, and KL(full ‖ policy), both in nats per token, means over texts with standard errors; the last column pairs every policy with the best.
 *
 *   npm run decode -- --texts 20 --tokens 1024 --budgets 128,256 --policies recency,h2o,tova,rkv,moment@0.9,moment@0.95
 *
 * `name@number:number` gives a policy its parameters: moment@α, moment-recent@α:share, rkv@λ. Every text is appended to bench/results/ as lines of
 * JSON, and a run goes on where an earlier one of the same settings stopped.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type EngineModel, parsePolicy, resolveBudget } from "../mod.ts";
import { DECODE_BLOCK } from "../core/decode/evict.ts";
import { argmax } from "../core/decode/write.ts";
import type { DecodePolicy, Policy } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { stages } from "../core/stages.ts";
import { openForBench } from "./open.ts";
import { mobyDick, random, stateOfTheUnion } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    texts: { type: "string", default: "20" },
    prompt: { type: "string", default: "300" },
    tokens: { type: "string", default: "1024" },
    budgets: { type: "string", default: "128,256" },
    policies: {
      type: "string",
      default: "recency,h2o,tova,rkv,moment@0.8,moment@0.9,moment@0.95,moment@0.99,moment@0.999,moment-recent",
    },
    block: { type: "string", default: String(DECODE_BLOCK) },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
  },
});
const [texts, promptTokens, tokens, block, seed, threads] = [
  flags.texts,
  flags.prompt,
  flags.tokens,
  flags.block,
  flags.seed,
  flags.threads,
].map(Number) as [number, number, number, number, number, number];
const budgets = flags.budgets.split(",").map(Number), names = flags.policies.split(",");

/** One text under one policy and budget; means over the scored tokens. */
interface Line {
  text: number;
  budget: number;
  policy: string;
  scored: number;
  nll: number;
  fullNll: number;
  kl: number;
  /** Share of tokens of which the full cache's likeliest is the policy's. */
  agreement: number;
}

/** Nothing of the prompt is evicted; `name@number:number` as above. */
function policyOf(name: string): Policy {
  const [variant = "", parameters] = name.split("@");
  const variants = stages.decode as Record<string, (...parameters: number[]) => DecodePolicy>;
  if (!Object.hasOwn(variants, variant)) throw new Error(`Unknown decode policy ${variant}`);
  const decode = variants[variant]!(...(parameters?.split(":").map(Number) ?? []));
  return { ...parsePolicy("probe=none,aggregate=none,select=topk"), name, decode };
}

function readerFor({ engine, tokenizer }: EngineModel, name: string, decodeBudget: number): Reader {
  const policy = policyOf(name), written = Math.min(tokens, decodeBudget + block);
  const budget = resolveBudget({
    config: engine.config,
    policy,
    request: { slots: promptTokens },
    chunkTokens: promptTokens,
    reserve: written,
    unboundedPositions: true,
    availableBytes: 16e9,
  });
  return new Reader(engine, policy, {
    budget,
    tokenizer,
    chunkTokens: promptTokens,
    reserve: written,
    positions: "original",
    questionTokens: [],
    answerTokens: [],
    decodeBudget,
    decodeBlock: block,
  });
}

function logSumExp(logits: Float32Array): number {
  let most = -Infinity, sum = 0;
  for (const value of logits) if (value > most) most = value;
  for (const value of logits) sum += Math.exp(value - most);
  return most + Math.log(sum);
}

/** All wanted policies and budgets over one text, in step with the full cache. */
async function measure(model: EngineModel, text: number, ids: number[], wanted: [string, number][]): Promise<Line[]> {
  const prompt = ids.slice(0, promptTokens), written = ids.slice(promptTokens);
  const full = readerFor(model, "keep", Infinity);
  const runs = wanted.map(([policy, budget]) => ({
    reader: readerFor(model, policy, budget),
    line: { text, budget, policy, scored: 0, nll: 0, fullNll: 0, kl: 0, agreement: 0 },
  }));
  await full.write(prompt);
  for (const { reader } of runs) await reader.write(prompt);
  const { vocab } = model.config, shares = new Float64Array(vocab);
  const row = (logits: Float32Array, i: number) => logits.subarray(i * vocab, (i + 1) * vocab);
  for (let from = 0; from + 1 < written.length; from += block) {
    const piece = written.slice(from, Math.min(from + block, written.length - 1));
    const touched = runs.map(({ reader }) => reader.evictedWritten > 0);
    const fullLogits = await full.follow(piece), logits = [];
    for (const { reader } of runs) logits.push(await reader.follow(piece));
    for (let i = 0; i < piece.length; i++) {
      const asked = row(fullLogits, i),
        target = written[from + i + 1]!,
        total = logSumExp(asked),
        best = argmax(asked);
      for (let id = 0; id < vocab; id++) shares[id] = Math.exp(asked[id]! - total);
      for (const [r, { line }] of runs.entries()) {
        if (!touched[r]) continue;
        const mine = row(logits[r]!, i), sum = logSumExp(mine);
        let kl = sum - total;
        for (let id = 0; id < vocab; id++) kl += shares[id]! * (asked[id]! - mine[id]!);
        line.scored++;
        line.kl += kl;
        line.nll += sum - mine[target]!;
        line.fullNll += total - asked[target]!;
        line.agreement += argmax(mine) === best ? 1 : 0;
      }
    }
  }
  return runs.map(({ line: { scored, nll, fullNll, kl, agreement, ...line } }) => {
    const mean = (sum: number) => sum / Math.max(1, scored);
    return { ...line, scored, nll: mean(nll), fullNll: mean(fullNll), kl: mean(kl), agreement: mean(agreement) };
  });
}

/** Every second text is a stretch of a novel, the others begin a speech of another decade each. */
function proseOf({ tokenizer }: EngineModel): (text: number) => number[] {
  const encode = (text: string) => tokenizer.encode(text, { control: false });
  const novel = encode(mobyDick()), length = promptTokens + tokens;
  return (text) => {
    const next = random(seed * 1000 + text);
    if (text % 2 === 0) {
      const from = Math.floor(next() * (novel.length - length));
      return novel.slice(from, from + length);
    }
    // later speeches may be short: the next year's then
    for (let year = 1800 + (7 * text + Math.floor(next() * 7)) % 210;; year = 1800 + (year - 1799) % 210) {
      let speech: string;
      try {
        speech = stateOfTheUnion(year);
      } catch (error) {
        if (error instanceof RangeError) continue;
        throw error;
      }
      const ids = encode(speech);
      if (ids.length >= length) return ids.slice(0, length);
    }
  };
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
/** Standard error of the mean. */
function error(values: number[]): number {
  const centre = mean(values), square = mean(values.map((value) => (value - centre) ** 2));
  return values.length < 2 ? NaN : Math.sqrt(square / (values.length - 1));
}
const spelled = (values: number[]) => `${mean(values).toFixed(4)} ± ${error(values).toFixed(4)}`;

function table(lines: Line[]): void {
  console.log(
    "| decode budget | policy | texts | NLL − full | KL to full | same likeliest token | KL − best |\n| --- | --- | --- | --- | --- | --- | --- |",
  );
  for (const budget of budgets) {
    const of = (policy: string) =>
      lines.filter((line) => line.budget === budget && line.policy === policy && line.text < texts).sort((a, b) =>
        a.text - b.text
      );
    const rows = names.map((policy) => ({ policy, mine: of(policy) })).filter(({ mine }) => mine.length > 0);
    rows.sort((a, b) => mean(a.mine.map(({ kl }) => kl)) - mean(b.mine.map(({ kl }) => kl)));
    for (const { policy, mine } of rows) {
      const best = rows[0]!.mine, paired = mine.map(({ kl, text }) => kl - best.find((one) => one.text === text)!.kl);
      console.log(
        `| ${budget} | ${policy} | ${mine.length} | ${spelled(mine.map(({ nll, fullNll }) => nll - fullNll))} | ${
          spelled(mine.map(({ kl }) => kl))
        } | ${(100 * mean(mine.map(({ agreement }) => agreement))).toFixed(1)} % | ${
          mine === best ? "best" : spelled(paired)
        } |`,
      );
    }
  }
}

const model = await openForBench(flags.model, "probe=none,aggregate=none,decode=moment", threads);
const prose = proseOf(model), folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const file = join(folder, `decode-${model.name}-${promptTokens}-${tokens}-${block}-${seed}.jsonl`.replaceAll(" ", "_"));
const lines: Line[] = existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Line)
  : [];
for (let text = 0; text < texts; text++) {
  const wanted = budgets.flatMap((budget) => names.map((name): [string, number] => [name, budget])).filter(
    ([policy, budget]) => !lines.some((line) => line.text === text && line.policy === policy && line.budget === budget),
  );
  if (wanted.length === 0) continue;
  const started = performance.now(), measured = await measure(model, text, prose(text), wanted);
  lines.push(...measured);
  appendFileSync(file, measured.map((line) => JSON.stringify(line) + "\n").join(""));
  process.stderr.write(`text ${text + 1} of ${texts}: ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
}
table(lines);
await model.close();
