/**
 * What compensation is worth: how far the next tokens of real prose drift from the full cache's after a prefix that was read under a policy, in nats
 * (KL of next-token distributions, teacher-forced), and how often the likeliest token is the same. All policies see the same documents, so differences
 * to the first policy are paired.
 *
 *   bun bench/compensate.ts --docs 8 --tokens 1024 --shares 50,25,12.5 snapkv probe=window,aggregate=mean,compensate=flow
 *   bun bench/compensate.ts --all --shares 25 --docs 10 --write   # the figures that `palimpsest policies` shows
 *
 * Every figure is appended to bench/results/ as a line of JSON, and a run goes on where one of the same settings stopped.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { collectGarbage } from "../cli/host.ts";
import { resolveBudget } from "../core/budget.ts";
import { KvCache } from "../core/cache.ts";
import type { Aggregation } from "../core/engine/attention_mass.ts";
import { cacheShape } from "../core/engine/layers.ts";
import { type GraphFeatures, NO_FEATURES } from "../core/engine/features.ts";
import { klDivergence, topOneAgreement } from "../core/eval/fidelity.ts";
import { mean, standardError } from "../core/eval/statistics.ts";
import { parsePolicy, policies as namedPolicies } from "../core/policies.ts";
import { featuresFor, leastBudget, type Policy } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { renderPrompt } from "../core/text/prompt.ts";
import type { EngineModel } from "../mod.ts";
import { openForBench } from "./open.ts";
import { mobyDick } from "./prose.ts";
import { writeMeasured } from "./write_measured.ts";

export interface Setting {
  /** Tokens of the prefix, the prompt's head included. */
  tokens: number;
  chunk: number;
  /** Tokens of the prose behind the prefix whose distributions are compared. */
  forced: number;
  question: string;
}

export interface Drift {
  kl: number;
  agreement: number;
  /** Milliseconds per compaction for all that `full` would not do. */
  msPerCompaction: number;
}

/** One graph that serves every policy. */
export function featuresOf(policies: readonly Policy[]): GraphFeatures {
  const all = policies.map(featuresFor), mass = new Set<Aggregation>(all.flatMap((features) => features.mass));
  const any = (name: keyof GraphFeatures) => all.some((features) => features[name]);
  return {
    ...NO_FEATURES,
    ...Object.fromEntries(Object.keys(NO_FEATURES).map((name) => [name, any(name as keyof GraphFeatures)])),
    mass: [...mass].sort(),
    packs: [...new Set(all.flatMap((features) => features.packs))].sort(),
  };
}

/** A stretch of the novel behind the chat template's head: prefix, then what follows it. */
export function stretch(model: EngineModel, prose: readonly number[], index: number, of: number, setting: Setting) {
  const { tokenizer } = model, { tokens, forced } = setting;
  const head = tokenizer.encode(renderPrompt(tokenizer, { instruction: setting.question }).head, { control: true });
  const from = Math.floor((index + 0.5) / of * (prose.length - tokens - forced));
  const all = [...head, ...prose.slice(from, from + tokens - head.length + forced)];
  return { prefix: all.slice(0, tokens), next: all.slice(tokens) };
}

export type Stretch = ReturnType<typeof stretch>;

/** Logits [forced, vocab] of the tokens behind the prefix, on the full cache. */
export async function fullLogits(model: EngineModel, { prefix, next }: Stretch, chunk: number): Promise<Float32Array> {
  const { engine, config } = model, cache = new KvCache(cacheShape(config), prefix.length);
  for (let from = 0; from < prefix.length; from += chunk) {
    const tokens = prefix.slice(from, from + chunk);
    const { keys, values } = await engine.pass(cache, { tokens, firstPosition: from });
    cache.append(keys, values, tokens.length, from, from);
  }
  const { logits } = await engine.pass(cache, { tokens: next, firstPosition: prefix.length, logitsRows: next.length });
  return logits!.slice();
}

/** Reads the prefix under a policy and compares what it then expects. @param share of the prefix that stays */
export async function drift(
  model: EngineModel,
  policy: Policy,
  { prefix, next }: Stretch,
  full: Float32Array,
  share: number,
  { chunk, question }: Setting,
): Promise<Drift & { reader: Reader }> {
  const { engine, config, tokenizer } = model, reserve = next.length;
  const slots = Math.max(leastBudget(policy), Math.round(prefix.length * share));
  const budget = resolveBudget({
    config,
    policy,
    request: { slots },
    chunkTokens: chunk,
    reserve,
    unboundedPositions: true,
    availableBytes: 4e9,
    packs: engine.packs,
  });
  const reader = new Reader(engine, policy, {
    budget,
    chunkTokens: chunk,
    reserve,
    positions: "original",
    questionTokens: tokenizer.encode(`\n\n${question}`, { control: false }),
    answerTokens: tokenizer.encode(renderPrompt(tokenizer, { instruction: "" }).tail, { control: true }),
    tokenizer,
  });
  for (let from = 0; from < prefix.length; from += chunk) await reader.read(prefix.slice(from, from + chunk));
  const { logits } = await engine.pass(reader.cache, {
    tokens: next,
    firstPosition: reader.nextPosition,
    logitsRows: next.length,
  });
  return {
    kl: klDivergence(full, logits!, config.vocab),
    agreement: topOneAgreement(full, logits!, config.vocab),
    msPerCompaction: reader.policyMs / Math.max(1, reader.compactions),
    reader,
  };
}

/** "1.234 ± 0.056" */
export const spelled = (values: readonly number[], digits = 3): string =>
  `${mean(values).toFixed(digits)} ± ${(standardError(values) ?? NaN).toFixed(digits)}`;

/** What was measured already, in a file in bench/results/ that says with what settings. */
class Measured {
  private readonly file: string;
  private readonly known = new Map<string, Drift>();

  constructor({ tokens, chunk, forced, question }: Setting, docs: number) {
    const folder = join(import.meta.dirname, "results");
    mkdirSync(folder, { recursive: true });
    const asked = question.replaceAll(/[^a-z]+/gi, "-");
    this.file = join(folder, `drift-${tokens}-${chunk}-${forced}-${docs}-${asked}.jsonl`);
    if (!existsSync(this.file)) return;
    for (const line of readFileSync(this.file, "utf8").split("\n").filter(Boolean)) {
      const { doc, share, policy, ...drift } = JSON.parse(line);
      this.known.set(keyOf(doc, share, policy), drift);
    }
  }

  find(doc: number, share: number, policy: string): Drift | null {
    return this.known.get(keyOf(doc, share, policy)) ?? null;
  }

  add(doc: number, share: number, policy: string, drift: Drift): void {
    appendFileSync(this.file, JSON.stringify({ doc, share, policy, ...drift }) + "\n");
  }
}

const keyOf = (doc: number, share: number, policy: string) => `${doc} ${share} ${policy}`;

async function main(): Promise<void> {
  const { values: flags, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tokens: { type: "string", default: "1024" },
      chunk: { type: "string", default: "256" },
      forced: { type: "string", default: "32" },
      docs: { type: "string", default: "8" },
      shares: { type: "string", default: "50,25,12.5" },
      question: { type: "string", default: "Continue the text." },
      threads: { type: "string", default: "2" },
      model: { type: "string" },
      all: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const named = Object.keys(namedPolicies).filter((name) =>
    parsePolicy(name).evicts && parsePolicy(name).decode.name === "keep"
  );
  const specs = flags.all
    ? named
    : positionals.length > 0
    ? positionals
    : ["snapkv", "flow-snapkv", "centroids-snapkv"];
  const policies = specs.map(parsePolicy), docs = Number(flags.docs);
  const setting = {
    tokens: Number(flags.tokens),
    chunk: Number(flags.chunk),
    forced: Number(flags.forced),
    question: flags.question,
  };
  const model = await openForBench(flags.model, specs[0]!, Number(flags.threads), featuresOf(policies));
  const prose = model.tokenizer.encode(mobyDick(), { control: false });
  const shares = flags.shares.split(",").map((share) => Number(share) / 100);
  const found = shares.map(() => specs.map((): Drift[] => [])), measured = new Measured(setting, docs);
  for (let doc = 0; doc < docs; doc++) {
    const text = stretch(model, prose, doc, docs, setting);
    let full: Float32Array | null = null;
    for (const [s, share] of shares.entries()) {
      for (const [p, policy] of policies.entries()) {
        let one = measured.find(doc, share, specs[p]!);
        if (!one) {
          full ??= await fullLogits(model, text, setting.chunk);
          const { kl, agreement, msPerCompaction } = await drift(model, policy, text, full, share, setting);
          measured.add(doc, share, specs[p]!, one = { kl, agreement, msPerCompaction });
          collectGarbage();
        }
        found[s]![p]!.push(one);
      }
    }
    console.error(`document ${doc + 1} of ${docs}`);
  }
  console.log(
    `${docs} stretches of ${setting.tokens} tokens in chunks of ${setting.chunk}, next ${setting.forced} tokens\n`,
  );
  console.log(
    `| kept | policy | KL, nats | less than ${specs[0]} (paired) | better in | same top token | ms per compaction |\n` +
      "| --- | --- | --- | --- | --- | --- | --- |",
  );
  for (const [s, share] of shares.entries()) {
    for (const [p, spec] of specs.entries()) {
      const mine = found[s]![p]!, base = found[s]![0]!;
      const gain = mine.map(({ kl }, i) => base[i]!.kl - kl), better = gain.filter((value) => value > 0).length;
      const ms = mean(mine.map(({ msPerCompaction }) => msPerCompaction));
      console.log(
        `| ${100 * share} % | ${spec} | ${spelled(mine.map(({ kl }) => kl))} | ${
          p === 0 ? "-" : spelled(gain)
        } | ${better} of ${docs} | ${(100 * mean(mine.map(({ agreement }) => agreement))).toFixed(1)} % | ${
          ms.toFixed(0)
        } |`,
      );
    }
  }
  await model.close();
  const quarter = shares.indexOf(0.25);
  if (!flags.write || quarter < 0) return;
  writeMeasured(Object.fromEntries(specs.map((spec, p) => {
    const kl = found[quarter]![p]!.map((drift) => drift.kl);
    return [spec, { kl: [mean(kl), standardError(kl) ?? 0] as [number, number] }];
  })));
}

if (import.meta.main) await main();
