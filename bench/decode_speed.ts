/**
 * What a decode policy costs: tokens per second of writing inside a decode budget, beside `keep` at the same live slots, interleaved in one process. A
 * round is one block of written tokens per policy, its eviction included; `keep` forgets its block again, so that it stays as large as the others.
 * Reported are the medians over rounds of the block's time, of its ratio to `keep` in the same round, which other load touches alike, and of the
 * processor time that it took, which other load hardly touches.
 *
 *   npm run decode-speed -- --budget 1024 --decode-budget 256 --rounds 30 --threads 2
 *
 * Whole policies can be compared so, too, such as what reading a latent memory takes of every token; it takes as long whatever the memory holds:
 *
 *   npm run decode-speed -- --against indexer --policies indexmem --block 64 --rounds 10 --threads 1
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type EngineModel, parsePolicy, resolveBudget } from "../mod.ts";
import { DECODE_BLOCK } from "../core/decode/evict.ts";
import { spell } from "../core/engine/features.ts";
import { featuresFor } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { stages } from "../core/stages.ts";
import { median } from "./llama/report.ts";
import { openForBench } from "./open.ts";
import { mobyDick } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    budget: { type: "string", default: "1024" },
    "decode-budget": { type: "string", default: "256" },
    policies: { type: "string", default: Object.keys(stages.decode).join(",") },
    against: { type: "string", default: "keep" },
    rounds: { type: "string", default: "30" },
    block: { type: "string", default: String(DECODE_BLOCK) },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
  },
});
const [slots, decodeBudget, rounds, block, threads] = [
  flags.budget,
  flags["decode-budget"],
  flags.rounds,
  flags.block,
  flags.threads,
].map(Number) as [number, number, number, number, number];
const { against } = flags;
const names = [against, ...flags.policies.split(",").filter((name) => name !== against)];

const models = new Map<string, EngineModel>();
async function readerFor(name: string): Promise<Reader> {
  const spec = Object.hasOwn(stages.decode, name) ? `probe=question,decode=${name}` : name;
  const policy = parsePolicy(spec), key = spell(featuresFor(policy));
  let model = models.get(key);
  if (!model) models.set(key, model = await openForBench(flags.model, spec, threads));
  const chunkTokens = 512, reserve = decodeBudget + block + 1;
  const reader = new Reader(model.engine, policy, {
    budget: resolveBudget({
      config: model.config,
      policy,
      request: { slots },
      chunkTokens,
      reserve,
      unboundedPositions: true,
      availableBytes: 16e9,
      packs: model.engine.packs,
    }),
    tokenizer: model.tokenizer,
    chunkTokens,
    reserve,
    positions: "original",
    questionTokens: [1],
    answerTokens: [],
    decodeBudget,
    decodeBlock: block,
  });
  const prompt = model.tokenizer.encode(mobyDick().slice(0, 8 * slots), { control: false }).slice(0, slots + 1);
  await reader.write(prompt);
  for (let i = 0; i < decodeBudget; i++) await reader.next(prompt[i % prompt.length]!);
  return reader;
}

/** One block of tokens, in milliseconds per token. */
async function writeBlock(reader: Reader): Promise<{ wall: number; cpu: number }> {
  const { tokensRead, nextPosition, cache } = reader, live = cache.live.slice(), started = performance.now();
  const before = process.cpuUsage();
  for (let i = 0; i < block; i++) await reader.next(1000 + i);
  const wall = (performance.now() - started) / block, { user, system } = process.cpuUsage(before);
  if (!reader.policy.decode.evicts) {
    cache.live.set(live);
    [reader.tokensRead, reader.nextPosition] = [tokensRead, nextPosition];
  }
  return { wall, cpu: (user + system) / 1000 / block };
}

const readers = new Map<string, Reader>();
for (const name of names) readers.set(name, await readerFor(name));
const times = new Map(names.map((name) => [name, [] as { wall: number; cpu: number }[]]));
for (let round = 0; round < rounds; round++) {
  // another one begins each round
  for (let i = 0; i < names.length; i++) {
    const name = names[(i + round) % names.length]!;
    times.get(name)!.push(await writeBlock(readers.get(name)!));
  }
}
console.log(
  `| policy | ms per token | tokens/s | speed against ${against} | CPU ms per token | CPU against ${against} | of it the policy's own |\n` +
    "| --- | --- | --- | --- | --- | --- | --- |",
);
for (const [name, mine] of times) {
  const other = times.get(against)!, reader = readers.get(name)!;
  const [wall, cpu] = (["wall", "cpu"] as const).map((what) => ({
    own: median(mine.map((block) => block[what])),
    ratio: median(mine.map((block, round) => block[what] / other[round]![what])),
  })) as [{ own: number; ratio: number }, { own: number; ratio: number }];
  const own = reader.policyMs / (reader.tokensRead - slots - 1);
  console.log(
    `| ${name} | ${wall.own.toFixed(2)} | ${(1000 / wall.own).toFixed(1)} | ${(100 / wall.ratio).toFixed(1)} % | ${
      cpu.own.toFixed(2)
    } | ${(100 * cpu.ratio).toFixed(1)} % | ${reader.policy.decode.evicts ? `${own.toFixed(2)} ms` : "–"} |`,
  );
}
for (const model of models.values()) await model.close();
