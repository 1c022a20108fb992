/**
 * `bun bench/start.ts`: how long the program takes to start. Wall time of `palimpsest --help`, and of a second start
 * until the first piece of an answer about a short text is on stdout. Medians; a start that prepares the model's
 * weights comes first and does not count.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { defaultModel } from "../cli/registry.ts";
import { mobyDick } from "./llama/prompt.ts";
import { busyMs, DISTURBED, foreignShare, waitForQuiet } from "./llama/quiet.ts";
import { median } from "./llama/report.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    threads: { type: "string", default: "2" },
    runs: { type: "string", default: "5" },
    program: { type: "string", default: join(import.meta.dirname, "..", "cli", "palimpsest") },
    wait: { type: "string", default: "60" },
    json: { type: "boolean", default: false },
  },
});

/** One start: milliseconds until the first byte on stdout and until the end. */
interface Start {
  firstMs: number;
  endMs: number;
}

const folder = mkdtempSync(join(tmpdir(), "palimpsest-start-"));
try {
  const text = mobyDick().slice(0, 1000), file = join(folder, "short.txt");
  writeFileSync(file, text);
  const model = flags.model ?? process.env["PALIMPSEST_TEST_MODEL"] ?? defaultModel;
  const ask = [
    "ask",
    file,
    "Who tells this story?",
    "--quiet",
    "--max-tokens",
    "8",
    "--threads",
    flags.threads,
    "--model",
    model,
  ];
  const help = await starts(["--help"]), answers = await starts(ask);
  const figures = [
    {
      what: "`palimpsest --help`",
      wanted: 0.2,
      seconds: help.starts.map((one) => one.endMs / 1000),
      foreign: help.foreign,
    },
    {
      what: `first piece of an answer, text of ${text.length} characters`,
      wanted: 1.5,
      seconds: answers.starts.map((one) => one.firstMs / 1000),
      foreign: answers.foreign,
    },
  ];
  if (flags.json) {
    console.log(JSON.stringify({ schema: "palimpsest.start/1", program: flags.program, model, figures }, null, 2));
  } else {
    console.log("| what | median, s | smallest to largest | wanted |\n| --- | ---: | ---: | ---: |");
    for (const { what, wanted, seconds } of figures) {
      const [least, most] = [Math.min(...seconds), Math.max(...seconds)];
      console.log(
        `| ${what} | ${median(seconds).toFixed(3)} | ${least.toFixed(3)} to ${most.toFixed(3)} | ≤ ${wanted} |`,
      );
    }
    const worst = Math.max(...figures.map((figure) => figure.foreign ?? 0));
    if (worst > DISTURBED) {
      console.log(
        `\n**Not to be quoted**: others used up to ${(worst * 100).toFixed(0)} % of the machine before the starts.`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Starts the program once uncounted, then `--runs` times; `foreign` is the largest share of the machine that others
 * used between starts.
 */
async function starts(args: string[]): Promise<{ starts: Start[]; foreign: number | null }> {
  await start(args);
  const done: Start[] = [];
  let foreign: number | null = null;
  for (let i = 0; i < Number(flags.runs); i++) {
    await waitForQuiet(Number(flags.wait));
    const busy = busyMs(), from = performance.now();
    await new Promise((ready) => setTimeout(ready, 500));
    const share = foreignShare(busy, performance.now() - from, 0);
    if (share !== null) foreign = Math.max(foreign ?? 0, share);
    done.push(await start(args));
  }
  return { starts: done, foreign };
}

function start(args: string[]): Promise<Start> {
  const from = performance.now();
  const child = spawn(resolve(flags.program), args, { stdio: ["ignore", "pipe", "pipe"] });
  let firstMs = NaN, complaints = "";
  child.stdout.on("data", () => firstMs = Number.isNaN(firstMs) ? performance.now() - from : firstMs);
  child.stderr.on("data", (piece) => complaints += piece);
  return new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code) => {
      if (code === 0 && !Number.isNaN(firstMs)) done({ firstMs, endMs: performance.now() - from });
      else failed(new Error(`${flags.program} ${args.join(" ")} ended with ${code}: ${complaints.trim()}`));
    });
  });
}
