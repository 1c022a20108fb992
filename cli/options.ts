/**
 * Flags that several commands share, each defined once. Those with an environment variable are settings: they have a key in the config file, too
 * (`settings.ts`). The second word of a default is what `config show` says of it where there is no value.
 */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { UsageError } from "../core/errors.ts";
import { parseShard, type Shard } from "./batch/manifest.ts";
import { type BudgetFlag, parseBudget } from "./budget_flag.ts";
import { parseDuration } from "./duration.ts";
import { strategies, type Strategy } from "../core/strategy.ts";
import { defaultModel } from "./registry.ts";

/** Devices that `--device` takes. */
export const devices = ["auto", "cpu", "wasm", "webgpu"] as const;
/** Shells that `completions` knows. */
export const shells = ["bash", "zsh", "fish", "powershell"] as const;

const wholeNumber = (least: number, most: number) => (text: string): number => {
  const value = Number(text);
  if (/^\d+$/.test(text.trim()) && value >= least && value <= most) return value;
  throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
};

const budget = (text: string): BudgetFlag => {
  try {
    return parseBudget(text);
  } catch (error) {
    if (error instanceof UsageError) {
      throw new InvalidArgumentError("It must be slots (1024) or bytes (64MiB, 64MB, 512K).");
    }
    throw error;
  }
};

const duration = (text: string): number => {
  const milliseconds = parseDuration(text);
  if (milliseconds !== null) return milliseconds;
  throw new InvalidArgumentError("It must be a duration: 30s, 5m or 1h, at most 24 days.");
};

/** One of several parts: 2/8. */
export const shard = (text: string): Shard => {
  const part = parseShard(text);
  if (part) return part;
  throw new InvalidArgumentError("It must be i/n, from 1/n to n/n.");
};

/** Bytes, with a unit. */
export const memory = (text: string): number => {
  try {
    const parsed = parseBudget(text);
    if ("bytes" in parsed) return parsed.bytes;
  } catch {
    // said below
  }
  throw new InvalidArgumentError("It must be bytes with a unit (8GiB, 512MiB).");
};

const most = 1_000_000_000;

export const modelOption = () =>
  new Option("-m, --model <name|path>", "a pulled model's name, a .gguf file or a folder with safetensors weights")
    .default(defaultModel).env(
      "PALIMPSEST_MODEL",
    );
export const budgetOption = () =>
  new Option("--kv-budget <slots|bytes>", "KV memory kept of the document: 1024 (slots) or 64MiB").argParser(budget)
    .default(undefined, "1024 slots").env("PALIMPSEST_KV_BUDGET");
export const chunkOption = () =>
  new Option("--chunk <tokens>", "tokens per forward pass (default: 512, on a GPU 1024 or more)").argParser(
    wholeNumber(1, 65_536),
  ).default(undefined, "512, on a GPU 1024 or more").env("PALIMPSEST_CHUNK");
export const policyOption = () =>
  new Option(
    "--policy <policy>",
    "what stays in memory: a name from `palimpsest policies`, or stages (probe=question,select=topk)",
  )
    .default(undefined, "question-quote, of summarize coverage").env("PALIMPSEST_POLICY");
export const positionsOption = () =>
  new Option("--positions <kind>", "positions of the kept slots").choices(["auto", "original", "compact"] as const)
    .default("auto" as const)
    .env("PALIMPSEST_POSITIONS");
/** The longest answer, where none is given. */
export const MAX_TOKENS = 256;
export const maxTokensOption = () =>
  new Option("-n, --max-tokens <count>", "longest answer, in tokens").argParser(wholeNumber(1, most))
    .default(undefined, `${MAX_TOKENS}, of summarize by its length`).env("PALIMPSEST_MAX_TOKENS");
export const decodeBudgetOption = () =>
  new Option("--decode-budget <tokens>", "written tokens kept in memory, where the policy evicts while writing (512)")
    .argParser(wholeNumber(16, most)).default(undefined, "512").env("PALIMPSEST_DECODE_BUDGET");
export const systemOption = () =>
  new Option("-s, --system <text>", "system prompt").default(undefined, "none").env(
    "PALIMPSEST_SYSTEM",
  );
export const deviceOption = () =>
  new Option("--device <device>", "where the model runs").choices(devices).default("auto" as const).env(
    "PALIMPSEST_DEVICE",
  );
export const kvTypeOption = () =>
  new Option(
    "--kv-type <type>",
    "what keys and values are stored in; f16 and int8 hold 2 and 3.6 times the slots (auto: f32, on a GPU f16 where it has that)",
  ).choices(["auto", "f32", "f16", "int8"] as const).default("auto" as const).env("PALIMPSEST_KV_TYPE");
export const allowSoftwareOption = () =>
  new Option("--allow-software", "with --device webgpu: a software adapter will do, to try things out")
    .env("PALIMPSEST_ALLOW_SOFTWARE");
export const threadsOption = () =>
  new Option("--threads <count>", "CPU threads (default: ONNX Runtime's choice)").argParser(wholeNumber(1, 1024))
    .default(undefined, "ONNX Runtime's choice").env("PALIMPSEST_THREADS");
export const strictOption = () =>
  new Option("--strict", "fail (exit 4) rather than compress a document that does not fit").env(
    "PALIMPSEST_STRICT",
  );
export const strategyOption = (choices: readonly Strategy[] = strategies) =>
  new Option(
    "--strategy <strategy>",
    "stream: answer from the memory; stream+verify: then look the answer up in the documents, and answer again; map-reduce: answer part by part, then all answers together",
  ).choices(choices).default("stream" as const);
export const lengthOption = () =>
  new Option("--length <words>", "length of the summary, about").argParser(wholeNumber(1, 100_000))
    .default(undefined, "300").env("PALIMPSEST_LENGTH");
export const timeoutOption = (does = "stop after 30s, 5m or 1h with exit code 124; finished text stays") =>
  new Option("--timeout <duration>", does).argParser(duration).default(undefined, "none").env("PALIMPSEST_TIMEOUT");
export const progressOption = () =>
  new Option("--progress <form>", "json: events on stderr, one object per line").choices(["auto", "json"] as const)
    .default("auto" as const).env("PALIMPSEST_PROGRESS");
export const jsonOption = (does = "print one JSON object and nothing else") => new Option("--json", does);
export const quietOption = () => new Option("-q, --quiet", "nothing on stderr but errors").env("PALIMPSEST_QUIET");
export const verboseOption = () =>
  new Option("-v, --verbose", "progress and statistics even when stderr is not a terminal").env(
    "PALIMPSEST_VERBOSE",
  );
export const colorOption = () => new Option("--color", "colour even where it is not expected");
export const noColorOption = () => new Option("--no-color", "no colour (NO_COLOR does the same)");

/** Every setting once, in the order of the help screens. */
export const settingOptions = () => [
  modelOption(),
  budgetOption(),
  policyOption(),
  chunkOption(),
  positionsOption(),
  maxTokensOption(),
  decodeBudgetOption(),
  systemOption(),
  lengthOption(),
  deviceOption(),
  kvTypeOption(),
  allowSoftwareOption(),
  threadsOption(),
  strictOption(),
  timeoutOption(),
  progressOption(),
  quietOption(),
  verboseOption(),
];

export const outOption = () => new Option("-o, --out <file.pal>", "where to keep the memory");
export const appendOption = () => new Option("--append", "read on: documents behind those that the state holds");
export const resumeOption = () =>
  new Option(
    "--resume",
    "go on with a reading that was interrupted; do nothing where the state holds the documents already",
  );
export const freshOption = () => new Option("--fresh", "read from the start, and forget an interrupted reading");
export const checkpointOption = () =>
  new Option("--checkpoint <duration>", "time between two checkpoints").argParser(duration).default(30_000, "30s");
export const spoolOption = () =>
  new Option("--spool", "keep what is piped in a file beside the state, so that reading it can be resumed");
export const stateOption = () => new Option("--state <file.pal>", "a memory that `palimpsest read` has kept");
export const citeOption = () => new Option("--cite", "show the passages that the answer came from");
export const reportOption = () =>
  new Option(
    "--report <file.html>",
    "a page with the answer, where it came from, and what of the document stayed in memory",
  );
export const questionsOption = () =>
  new Option("--questions <file>", "answer every line of a file (- is stdin), one JSON object each");
