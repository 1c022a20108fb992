/**
 * `npm run bench`: Palimpsest against llama.cpp on the same model file, document and threads, interleaved in one run,
 * every measurement in a process of its own. Three rounds at 4,096 tokens, one at 32,768, ours alone at 262,144. Half
 * an hour on two cores; nothing else may run meanwhile.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { cacheFolder } from "../cli/folders.ts";
import { runtimeName } from "../cli/host.ts";
import { defaultModel } from "../cli/registry.ts";
import { resolveModel } from "../cli/store.ts";
import { defaultPolicies } from "../core/policies.ts";
import { type Job, measure } from "./llama/child.ts";
import { install, node, peerName, unsupported } from "./llama/install.ts";
import { openTokenizer, question, questionTokens, writePrompt } from "./llama/prompt.ts";
import { busyMs, foreignShare, waitForQuiet } from "./llama/quiet.ts";
import { markdown, MEMORY_BASE, oneLine, rankedConfigs, type Report, type Run } from "./llama/report.ts";

const usage = `Usage: npm run bench -- [options]
  --model PATH|NAME  default: PALIMPSEST_TEST_MODEL, else the default model of the store
  --threads N        of both programs (2)
  --runs N           rounds at 4,096 tokens (3)
  --long-runs N      runs at 262,144 tokens (1)
  --skip-32k         no round at 32,768 tokens, where llama.cpp takes many minutes
  --skip-long        nothing at 262,144 tokens
  --only TOKENS      one document size, any; above 65,536 ours alone
  --all-configs      all four configurations of llama.cpp at 32,768 tokens, not just the better batch size with and
                     without flash attention
  --wait SECONDS     longest wait for a quiet machine before each run (60)
  --json             the runs as JSON on stdout instead of the tables`;

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    threads: { type: "string", default: "2" },
    runs: { type: "string", default: "3" },
    "long-runs": { type: "string", default: "1" },
    "skip-32k": { type: "boolean", default: false },
    "skip-long": { type: "boolean", default: false },
    only: { type: "string" },
    "all-configs": { type: "boolean", default: false },
    wait: { type: "string", default: "60" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (flags.help) {
  console.log(usage);
  process.exit(0);
}

/**
 * llama.cpp at its best: which of these is decided by measurement. Batches are physical ones too (n_ubatch = n_batch).
 */
const configs = [true, false].flatMap((flash) =>
  [512, 2048].map((batch) => ({ name: `flash attention ${flash ? "on" : "off"}, batch ${batch}`, flash, batch }))
);
/** Above this llama.cpp would take hours. */
const PEER_LIMIT = 65536;
const root = join(import.meta.dirname, ".."),
  results = join(import.meta.dirname, "results"),
  work = join(results, "work");
const bun = [process.execPath, "--no-env-file", `--config=${join(root, "cli", "bunfig.toml")}`, "--no-install"];
const programs = {
  palimpsest: [...bun, join(import.meta.dirname, "ours.ts")],
  "llama.cpp": [node, join(import.meta.dirname, "llama", "run.mjs")],
};
// A process that is ended by a signal must not leave a measured program behind.
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) process.on(signal, () => process.exit(code));

const wanted = flags.model ?? process.env["PALIMPSEST_TEST_MODEL"] ?? defaultModel;
const resolved = await resolveModel(cacheFolder(), wanted).catch((error) => {
  say(error.message);
  process.exit(5);
});
const reason = unsupported();
if (reason) say(`${reason}: ours alone`);
else install();
mkdirSync(work, { recursive: true });
const tokenizer = await openTokenizer(resolved.path);
const settings = { threads: count("threads"), budget: 1024, chunk: 512, answerTokens: 32, decodeTokens: 128 };

const report: Report = {
  schema: "palimpsest.bench/1",
  date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
  machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${
    (totalmem() / 2 ** 30).toFixed(0)
  } GiB, ${process.platform} ${release()}`,
  software: `${runtimeName()}, onnxruntime-node ${manifest().dependencies["onnxruntime-node"]}${
    reason ? "" : `, ${peerName()}`
  }`,
  model: basename(resolved.path),
  settings: {
    ...settings,
    question: `a question of ${questionTokens(tokenizer)} tokens`,
    policy: defaultPolicies.ask,
  },
  runs: [],
  failures: [],
};
const saved = join(results, `speed-${new Date().toISOString().replace(/[:.]/g, "-").slice(0, 19)}`);

await warmUp();
if (flags.only !== undefined) {
  const tokens = count("only");
  await rounds(tokens, count("runs"), tokens <= PEER_LIMIT ? configs : []);
} else {
  await rounds(4096, count("runs"), configs);
  if (!flags["skip-32k"]) await rounds(32768, 1, flags["all-configs"] ? configs : finalists(4096));
  if (!flags["skip-long"]) {
    await rounds(MEMORY_BASE, count("runs"), []);
    await rounds(262144, count("long-runs"), []);
  }
}
rmSync(work, { recursive: true, force: true });
console.log(flags.json ? JSON.stringify(report, null, 2) : markdown(report));
say(`saved ${saved}.json and .md`);

/** Prepared weights, files in the page cache, the programs' own caches: not measured. */
async function warmUp(): Promise<void> {
  const job = jobFor(256, configs[0]!, 32);
  await measure(programs.palimpsest, job, work);
  if (reason) return;
  const { details } = await measure(programs["llama.cpp"], job, work);
  report.software += ` (llama.cpp ${details["llamaCpp"]}, ${details["buildType"]}, ${
    String(details["systemInfo"]).replaceAll(" = 1", "").replaceAll(" |", "").trim()
  })`;
}

/** Ours and each configuration of llama.cpp once per round; who starts changes from round to round. */
async function rounds(tokens: number, times: number, peers: typeof configs): Promise<void> {
  const entries = [null, ...(reason ? [] : peers)];
  for (let round = 0; round < times; round++) {
    for (let i = 0; i < entries.length; i++) await once(tokens, round, entries[(i + round) % entries.length]!);
  }
}

/** @param peer llama.cpp's configuration, null for ours */
async function once(tokens: number, round: number, peer: typeof configs[number] | null): Promise<void> {
  const engine = peer ? "llama.cpp" : "palimpsest", config = peer?.name ?? "";
  const job = jobFor(tokens, peer ?? configs[0]!);
  await waitForQuiet(Number(flags.wait));
  process.stderr.write(
    `bench: ${tokens.toLocaleString("en")} tokens, round ${round + 1}, ${`${engine} ${config}`.trim()} ... `,
  );
  const busy = busyMs(), started = performance.now(), own = process.cpuUsage();
  try {
    const result = await measure(programs[engine], job, work);
    const { user, system } = process.cpuUsage(own);
    const foreign = foreignShare(busy, performance.now() - started, result.cpuMs + (user + system) / 1000);
    const run: Run = { engine, config, documentTokens: tokens, round, foreign, result };
    report.runs.push(run);
    console.error(oneLine(run));
  } catch (error) {
    // A configuration that does not fit in memory takes part no further; without ours there is nothing to compare.
    if (!peer) throw error;
    report.failures.push(`${tokens.toLocaleString("en")} tokens, ${config}: ${(error as Error).message}`);
    console.error(`failed: ${(error as Error).message}`);
  }
  writeFileSync(`${saved}.json`, JSON.stringify(report, null, 2) + "\n");
  writeFileSync(`${saved}.md`, markdown(report));
}

/**
 * The better batch size with and without flash attention: how much flash attention is worth depends on the length of
 * the context, how much the batch size is worth should hardly. `--all-configs` does without that assumption.
 */
function finalists(tokens: number): typeof configs {
  const ranked = rankedConfigs(report.runs, tokens).map((name) => configs.find((config) => config.name === name)!);
  return [true, false].flatMap((flash) => ranked.find((config) => config.flash === flash) ?? []);
}

/** @param more tokens to write */
function jobFor(
  tokens: number,
  { flash, batch }: { flash: boolean; batch: number },
  more = settings.decodeTokens,
): Job {
  const { threads, budget, chunk, answerTokens } = settings, prompt = writePrompt(tokenizer, tokens, more, work);
  const files = { model: resolved.path, ...prompt, cacheFolder: cacheFolder() };
  return { ...files, question, threads, budget, chunk, answerTokens, flash, batch };
}

function count(flag: "threads" | "runs" | "long-runs" | "only"): number {
  const value = Number(flags[flag]);
  if (Number.isInteger(value) && value > 0) return value;
  say(`--${flag} takes a whole number from 1 on, current value is ${JSON.stringify(flags[flag])}`);
  process.exit(2);
}

function manifest(): { dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
}

function say(text: string): void {
  console.error(`bench: ${text}`);
}
