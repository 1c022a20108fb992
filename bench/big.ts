/**
 * `npm run big`: memory that a model larger than 2 GB needs. Writes a GGUF file of 3.4 GB with random weights, prepares and opens it in processes of their
 * own, writes a few tokens, and fails where one needs more memory of its own than the file's size and 1 GB. Pages of mapped files, which the system takes
 * back when it needs them, are reported apart. Takes 7.5 GB of disk for some minutes. Linux only.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { BigJob, BigResult } from "./big/child.ts";
import { writeBigModel } from "./big/model.ts";
import { confine } from "./big/confined.ts";
import { type Peaks, watched } from "./big/watched.ts";

const usage = `Usage: npm run big -- [options]
  --layers N   of a model as wide as Llama 3.2 3B: 28 make a file of 3.4 GB (28)
  --tokens N   written after opening (4)
  --threads N  (1)
  --folder F   for temporary files, with 2.2 times the file's size free
  --confine    allow a step no more memory than the file's size and 1 GB, mapped pages of files among it: what needs more is
               killed. As root: it makes a memory group (cgroup) and drops the system's cache of files
  --check      compare what it writes with what a small model of the same last layers does, in place of measuring
  --json       one JSON object on stdout instead of the table`;
const { values: flags } = parseArgs({
  options: {
    layers: { type: "string", default: "28" },
    tokens: { type: "string", default: "4" },
    threads: { type: "string", default: "1" },
    folder: { type: "string", default: tmpdir() },
    confine: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (flags.help) {
  console.log(usage);
  process.exit(0);
}
if (!existsSync("/proc/self/status")) {
  console.error("big: memory is read from /proc, which is on Linux only");
  process.exit(6);
}

/** What a step may need beyond the file's size. */
const BEYOND = 1e9;
const folder = await mkdtemp(join(flags.folder, "palimpsest-big-"));
const tidy = () => rm(folder, { recursive: true, force: true });
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.on(signal, () => void tidy().then(() => process.exit(code)));
}
try {
  const { bavail, bsize } = await statfs(folder), needed = 2.2 * Number(flags.layers) * 0.11e9 + 1.2e9;
  if (bavail * bsize < needed) {
    throw new Error(`${flags.folder} has ${gb(bavail * bsize)} free, ${gb(needed)} are needed`);
  }
  process.exitCode = await measure();
} catch (error) {
  console.error(`big: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await tidy();
}

async function measure(): Promise<number> {
  if (flags.check) return await check();
  const { fileBytes, preparedBytes, steps } = await run(Number(flags.layers));
  const report = steps.map((step) => ({ ...step, isOver: step.peaks.anonymous > fileBytes + BEYOND }));
  if (flags.json) {
    console.log(JSON.stringify({ schema: "palimpsest.big/1", fileBytes, preparedBytes, steps: report }, null, 2));
  } else {
    console.log(`file ${gb(fileBytes)}, prepared weights ${gb(preparedBytes)}; peaks of memory\n`);
    console.log("| step | time | of its own | beyond the file | pages of mapped files | resident at most |");
    console.log("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (const { step, result, peaks, isOver } of report) {
      const beyond = `${gb(peaks.anonymous - fileBytes)}${isOver ? " (too much)" : ""}`;
      const cells = [
        step,
        `${(result.ms / 1000).toFixed(0)} s`,
        gb(peaks.anonymous),
        beyond,
        gb(peaks.file),
        gb(peaks.all),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
    if (flags.confine) console.log(`\neach in a memory group of ${gb(fileBytes + BEYOND)}, pages of files included`);
    const { read, written, tokenMs } = steps[1]!.result;
    console.log(`\n${read} tokens read, ${written} written in ${tokenMs.toFixed(0)} ms each`);
  }
  return report.some(({ isOver }) => isOver) ? 1 : 0;
}

/** Weights at the end of a large file are those that are computed with: a model whose first layers add nothing writes what one without them does. */
async function check(): Promise<number> {
  const layers = Number(flags.layers), large = await run(layers, layers - 2), small = await run(2);
  const [expected, text] = [small, large].map(({ steps }) => steps[1]!.result.text);
  console.log(
    `prepared weights ${gb(large.preparedBytes)}: ${text === expected ? "the same text" : "another text"} as from ${
      gb(small.preparedBytes)
    }`,
  );
  return text === expected && text !== "" ? 0 : 1;
}

async function run(layers: number, idle = 0) {
  const path = join(folder, "model.gguf"), cacheFolder = join(folder, "cache"), sha256 = "0".repeat(64);
  const fileBytes = await writeBigModel(path, layers, idle);
  const job = { path, cacheFolder, sha256, threads: Number(flags.threads), tokens: Number(flags.tokens) };
  const steps: { step: BigJob["step"]; result: BigResult; peaks: Peaks }[] = [];
  for (const step of ["prepare", "open"] as const) {
    const child = [process.execPath, join(import.meta.dirname, "big", "child.ts"), JSON.stringify({ ...job, step })];
    const { output, peaks } = await runChild(child, fileBytes + BEYOND), result: BigResult = JSON.parse(output);
    steps.push({ step, result, peaks: { ...peaks, all: Math.max(peaks.all, result.peakBytes) } });
  }
  const graphs = join(cacheFolder, "graphs", sha256.slice(0, 16)), sizes = [];
  for (const name of await readdir(graphs)) {
    if (name.endsWith(".weights")) sizes.push((await stat(join(graphs, name))).size);
  }
  await rm(cacheFolder, { recursive: true });
  return { fileBytes, preparedBytes: sizes.reduce((sum, size) => sum + size, 0), steps };
}

/** @throws {Error} when it fails, or under `--confine` needs more than `allowed` bytes */
async function runChild(child: string[], allowed: number) {
  if (!flags.confine) return await watched(child, process.env);
  const group = confine(allowed);
  try {
    return await watched(group.command(child), process.env);
  } finally {
    group.remove();
  }
}

function gb(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
