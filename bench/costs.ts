/**
 * What a policy costs while a document is read. Every named policy reads the same text, round after round, between two readings of `streaming`, whose
 * passes ask nothing. A policy's cost is all that it takes beyond such passes: what `policyMs` counts (probe, scores, selection, compensation, moving
 * rows) and what it adds to the chunk's own pass (attention of a window, value norms, moments), which `policyMs` cannot see.
 *
 *   npm run costs -- --tokens 4096 --budget 1024 --rounds 3 --threads 2 [--policies "snapkv,h2o;probe=window+role"] [--write]
 *
 * The share of processor time is all that the reading took beyond the bare ones, moving rows not counted, as these move theirs too: other load hardly
 * touches it. Medians over rounds. `--write` puts the shares where `palimpsest policies` shows them. Nothing else may run meanwhile.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { spell } from "../core/engine/features.ts";
import { policies } from "../core/policies.ts";
import { policyList } from "../cli/eval_flags.ts";
import { featuresFor } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { answerTokens } from "../core/tail.ts";
import { type EngineModel, parsePolicy, resolveBudget } from "../mod.ts";
import { mean } from "../core/eval/statistics.ts";
import { median } from "./llama/report.ts";
import { openForBench } from "./open.ts";
import { mobyDick } from "./prose.ts";
import { writeMeasured } from "./write_measured.ts";

const { values: flags } = parseArgs({
  options: {
    tokens: { type: "string", default: "4096" },
    budget: { type: "string", default: "1024" },
    chunk: { type: "string", default: "512" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    policies: { type: "string", default: Object.keys(policies).filter((name) => name !== "full").join(",") },
    model: { type: "string" },
    write: { type: "boolean", default: false },
  },
});
const [tokens, slots, chunkTokens, rounds, threads] = [
  flags.tokens,
  flags.budget,
  flags.chunk,
  flags.rounds,
  flags.threads,
].map(Number) as [number, number, number, number, number];
const BASELINE = "streaming";
const names = [BASELINE, ...policyList([flags.policies], []).filter((name) => name !== BASELINE)];
/** Of about 24 tokens. */
const QUESTION = "\n\nWhat does the captain tell the crew about the white whale, and what does he nail to the mast?";

/** Milliseconds of one reading. */
interface Reading {
  all: number;
  policy: number;
  /** Of all processors, which other load hardly touches. */
  cpu: number;
}

/** With what it took beyond the passes of the bare readings beside it, and beyond the processor time of these readings. */
interface Compared extends Reading {
  beyond: number;
  cpuBeyond: number;
}

async function read(model: EngineModel, name: string, ids: number[]): Promise<Reading> {
  const policy = parsePolicy(name), reserve = 128;
  const budget = resolveBudget({
    config: model.config,
    policy,
    request: { slots },
    chunkTokens,
    reserve,
    unboundedPositions: false,
    availableBytes: 16e9,
    packs: model.engine.packs,
    documentTokens: ids.length,
  });
  const reader = new Reader(model.engine, policy, {
    budget,
    chunkTokens,
    reserve,
    positions: "auto",
    questionTokens: model.tokenizer.encode(QUESTION, { control: false }),
    answerTokens: answerTokens(model.tokenizer, { instruction: "" }),
    tokenizer: model.tokenizer,
  });
  const started = performance.now(), cpu = process.cpuUsage();
  for (let from = 0; from < ids.length; from += chunkTokens) await reader.read(ids.slice(from, from + chunkTokens));
  const { user, system } = process.cpuUsage(cpu);
  return { all: performance.now() - started, policy: reader.policyMs, cpu: (user + system) / 1000 };
}

const featuresOf = (name: string) => spell(featuresFor(parsePolicy(name)));
const byFeatures = Map.groupBy(names, featuresOf);
const rows = new Map<string, Compared & { share: number; cpuShare: number }>();
const plain = await openForBench(flags.model, BASELINE, threads);
const ids = plain.tokenizer.encode(mobyDick().slice(0, 8 * tokens), { control: false }).slice(0, tokens);
const chunks = ids.length / chunkTokens;
// one set of graph features after the other: all models at once would not leave room for what is measured
for (const [features, group] of byFeatures) {
  const isPlain = features === featuresOf(BASELINE), seen = new Map<string, Compared[]>();
  const model = isPlain ? plain : await openForBench(flags.model, group[0]!, threads);
  for (let round = -1; round < rounds; round++) {
    // a machine's speed drifts by several percent within a minute, so every reading stands between two bare ones
    let before = await read(plain, BASELINE, ids);
    for (const name of group) {
      const reading = await read(model, name, ids), after = await read(plain, BASELINE, ids);
      const passes = mean([before, after].map(({ all, policy }) => all - policy));
      const cpuBeyond = reading.cpu - mean([before, after].map(({ cpu }) => cpu));
      before = after;
      // the first round warms up
      if (round >= 0) {
        seen.set(name, [...seen.get(name) ?? [], { ...reading, beyond: reading.all - passes, cpuBeyond }]);
      }
    }
  }
  for (const [name, readings] of seen) {
    const middle = (of: (reading: Compared) => number) => median(readings.map(of));
    const row = {
      all: middle(({ all }) => all),
      policy: middle(({ policy }) => policy),
      beyond: middle(({ beyond }) => beyond),
      cpu: middle(({ cpu }) => cpu),
      cpuBeyond: middle(({ cpuBeyond }) => cpuBeyond),
      share: middle(({ all, beyond }) => beyond / all),
      cpuShare: middle(({ cpu, cpuBeyond }) => cpuBeyond / cpu),
    };
    rows.set(name, row);
    process.stderr.write(
      `${name}: ${(100 * row.share).toFixed(1)} %, of processor time ${(100 * row.cpuShare).toFixed(1)} %\n`,
    );
  }
  if (!isPlain) await model.close();
}
await plain.close();

console.log(
  "| policy | cost per chunk, ms | share of reading | of it in the chunk's pass, ms | share of processor time | tok/s |\n" +
    "| --- | ---: | ---: | ---: | ---: | ---: |",
);
for (const name of names) {
  const { all, policy, beyond, share, cpuShare } = rows.get(name)!;
  console.log(
    `| \`${name}\` | ${(beyond / chunks).toFixed(0)} | ${(100 * share).toFixed(1)} % | ${
      Math.max(0, (beyond - policy) / chunks).toFixed(0)
    } | ${(100 * cpuShare).toFixed(1)} % | ${(1000 * ids.length / all).toFixed(0)} |`,
  );
}
if (flags.write) {
  writeMeasured(Object.fromEntries([...rows].map(([name, { share }]) => [name, { cost: share }])));
}
