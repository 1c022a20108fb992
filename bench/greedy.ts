/**
 * Does a model file answer as it does in llama.cpp? Real prose of several lengths is read whole, without a policy's doing, and continued greedily by both.
 * llama.cpp multiplies quantised weights with activations that it rounds to 8 bits; `--exact` has it compute on the same weights written as f32 as well.
 *
 *   npm run greedy -- --model gemma-3-270m-q4_k_m.gguf --exact
 *
 * Exit code 1 when an answer is another where nothing is rounded: ours in f32 against llama.cpp on f32. Linux x64 only.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { cacheFolder } from "../cli/folders.ts";
import { availableBytes, files } from "../cli/host.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import { resolveModel } from "../cli/store.ts";
import { argmax } from "../core/decode/write.ts";
import type { WeightFormat } from "../core/engine/execution_forms.ts";
import { openModel, parsePolicy, resolveBudget } from "../mod.ts";
import { writeDequantised } from "./llama/dequantised.ts";
import { install, node, peerName, unsupported } from "./llama/install.ts";
import { mobyDick, openTokenizer } from "./llama/prompt.ts";
import { marginOf } from "./margin.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    lengths: { type: "string", default: "18,120,662,1500,3389" },
    tokens: { type: "string", default: "12" },
    exact: { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
  },
});
const lengths = flags.lengths.split(",").map(Number), tokens = Number(flags.tokens), threads = Number(flags.threads);

/** Told to llama.cpp. */
export interface Job {
  model: string;
  prompts: number[][];
  tokens: number;
  threads: number;
}

/** What one side wrote after each prompt; ours with the distance of the two largest logits before every token. */
interface Answers {
  written: number[][];
  margins?: number[][];
}

try {
  process.exitCode = await measure();
} catch (error) {
  console.error(`greedy: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function measure(): Promise<number> {
  for (const [flag, value] of [["--lengths", lengths], ["--tokens", [tokens]], ["--threads", [threads]]] as const) {
    if (value.every((number) => Number.isInteger(number) && number >= 1)) continue;
    throw new Error(`${flag} is ${value}; whole numbers from 1 on work`);
  }
  const why = unsupported();
  if (why) throw new Error(why);
  const cache = cacheFolder(), name = flags.model ?? process.env["PALIMPSEST_TEST_MODEL"] ?? "smollm2-135m";
  const model = await resolveModel(cache, name), prompts = await prose(model.path);
  install();
  const folder = mkdtempSync(join(tmpdir(), "palimpsest-greedy-")), job = { ...model, folder, prompts };
  try {
    const exact = join(folder, "dequantised.gguf");
    if (flags.exact) await writeDequantised(files, model.path, exact);
    const floats = await ours(job, "f32"), blocks = await ours(job, "blocks"), theirs = llama(job, model.path);
    const theirFloats = flags.exact ? llama(job, exact) : null;
    const title = `${basename(model.path)}, ${peerName()} on the CPU, keys and values in f32`;
    console.log(`${title}; ${tokens} tokens each\n`);
    compare(prompts, "ours in f32", floats, "llama.cpp", theirs);
    compare(prompts, "ours as shipped", blocks, "llama.cpp", theirs);
    if (!theirFloats) return 0;
    compare(prompts, "llama.cpp on f32", theirFloats, "llama.cpp", theirs);
    compare(prompts, "ours as shipped", blocks, "llama.cpp on f32", theirFloats);
    return compare(prompts, "ours in f32", floats, "llama.cpp on f32", theirFloats) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A model, the prompts, and where files may be kept meanwhile. */
interface Measured {
  path: string;
  sha256?: string | undefined;
  folder: string;
  prompts: number[][];
}

/** Beginnings of different parts of the book, each of so many tokens. */
async function prose(path: string): Promise<number[][]> {
  const tokenizer = await openTokenizer(path), book = tokenizer.encode(mobyDick(), { control: false });
  const bos = tokenizer.addBos ? tokenizer.encode(tokenizer.bosToken, { control: true }) : [];
  return lengths.map((length, i) => {
    const first = Math.floor(book.length * i / lengths.length);
    return [...bos, ...book.slice(first, first + length - bos.length)];
  });
}

async function ours({ path, sha256, folder, prompts }: Measured, weights: WeightFormat): Promise<Required<Answers>> {
  const model = await openModel({
    path,
    ...(sha256 ? { sha256 } : {}),
    device: "cpu",
    threads,
    weights,
    cacheFolder: join(folder, "cache"),
    files,
    policy: "full",
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
  });
  const policy = parsePolicy("full"), answers: Required<Answers> = { written: [], margins: [] };
  for (const ids of prompts) {
    const budget = resolveBudget({
      config: model.config,
      policy,
      // never less than any policy works with
      request: { slots: Math.max(512, ids.length + tokens) },
      chunkTokens: 512,
      reserve: tokens,
      unboundedPositions: true,
      availableBytes: availableBytes(),
    });
    using reading = await model.openReading(policy, {
      budget,
      tokenizer: model.tokenizer,
      chunkTokens: 512,
      reserve: tokens,
      positions: "original",
      questionTokens: [],
      answerTokens: [],
    });
    for (let at = 0; at < ids.length - 1; at += 512) {
      await reading.read(ids.slice(at, Math.min(at + 512, ids.length - 1)));
    }
    const written: number[] = [], margins: number[] = [];
    let logits = await reading.write(ids.slice(-1));
    while (true) {
      written.push(argmax(logits));
      margins.push(marginOf(logits));
      if (written.length === tokens) break;
      logits = await reading.next(written.at(-1)!);
    }
    answers.written.push(written);
    answers.margins.push(margins);
  }
  await model.close();
  return answers;
}

function llama({ folder, prompts }: Measured, model: string): Answers {
  const file = join(folder, "job.json");
  writeFileSync(file, JSON.stringify({ model, prompts, tokens, threads } satisfies Job));
  const script = join(import.meta.dirname, "llama", "greedy.mjs");
  const child = spawnSync(node, [script, file], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (child.status !== 0) throw new Error(`llama.cpp ended with ${child.status ?? child.signal}`);
  return { written: JSON.parse(child.stdout) };
}

/** Prints for how many prompts both wrote the same, and where not the first token that differs. Whether all are the same. */
function compare(prompts: number[][], a: string, first: Answers, b: string, second: Answers): boolean {
  const parted = prompts.flatMap(({ length }, i) => {
    const at = first.written[i]!.findIndex((token, step) => token !== second.written[i]![step]);
    if (at < 0) return [];
    const margin = (first.margins ?? second.margins)?.[i]?.[at];
    return [`${length} tokens: from token ${at + 1}${margin === undefined ? "" : `, margin ${margin.toFixed(3)}`}`];
  });
  const same = prompts.length - parted.length;
  console.log(
    `${a} / ${b}: ${same} of ${prompts.length} the same${parted.length > 0 ? ` (${parted.join("; ")})` : ""}`,
  );
  return parted.length === 0;
}
