/** What `ask` and `summarize` share: from a command line to an answer on stdout. */
import type { Source } from "../core/text/document.ts";
import { DeviceError } from "../core/errors.ts";
import type { AnswerEvent, AnswerRecord } from "../core/record.ts";
import type { BudgetFlag } from "./budget_flag.ts";
import { estimateTokens, type TokenEstimate } from "./estimate.ts";
import { cacheFolder } from "./folders.ts";
import { availableBytes, collectGarbage, peakRssBytes } from "./host.ts";
import { openStored } from "./open.ts";
import { writeJson, writeOut } from "./output.ts";
import { createRenderer, type Renderer } from "./render.ts";
import { breathe, interruption } from "./signals.ts";
import { rememberSpeed } from "./speeds.ts";
import { resolveModel } from "./store.ts";

/** The flags of both commands, parsed. */
export interface RunFlags {
  model: string;
  kvBudget?: BudgetFlag | undefined;
  chunk: number;
  policy?: string | undefined;
  positions: "auto" | "original" | "compact";
  maxTokens?: number | undefined;
  decodeBudget?: number | undefined;
  system?: string | undefined;
  device: "auto" | "cpu" | "wasm" | "webgpu";
  threads?: number | undefined;
  strict?: boolean | undefined;
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
  color?: boolean | undefined;
}

/** What a command adds to its flags. */
export interface RunTask {
  command: "ask" | "summarize";
  sources: Source[];
  instruction: string;
  /** Where `--max-tokens` is not given. */
  maxTokens: number;
  opening?: string;
  notes?: { wanted: number; tokens: number };
}

/** Opens the model, runs the task and prints the answer, or the record under `--json`. */
export async function run(task: RunTask, flags: RunFlags): Promise<void> {
  const { answer, defaultPolicies, parsePolicy, writingRoom } = await import("../mod.ts");
  const device = usableDevice(flags.device);
  const policy = flags.policy ?? defaultPolicies[task.command];
  // Told before anything is loaded or read.
  writingRoom(parsePolicy(policy), {
    maxTokens: flags.maxTokens ?? task.maxTokens,
    decodeBudget: flags.decodeBudget,
  });
  const cache = cacheFolder();
  const stored = await resolveModel(cache, flags.model), { name } = stored;
  const renderer = createRenderer(flags);
  const model = await openStored(stored, policy, cache, device, flags.threads, renderer);
  try {
    const estimate = estimateTokens(task.sources);
    const events = answer(model, {
      command: task.command,
      sources: estimate.sources,
      instruction: task.instruction,
      ...(flags.system === undefined ? {} : { system: flags.system }),
      policy,
      budget: flags.kvBudget ?? null,
      chunkTokens: flags.chunk,
      positions: flags.positions,
      maxTokens: flags.maxTokens ?? task.maxTokens,
      ...(flags.decodeBudget === undefined ? {} : { decodeBudget: flags.decodeBudget }),
      ...(task.opening ? { opening: task.opening } : {}),
      ...(task.notes ? { notes: task.notes } : {}),
      strict: flags.strict ?? false,
      availableBytes: availableBytes(),
      peakRssBytes,
      collectGarbage,
      signal: interruption,
    });
    const record = await printAnswer(named(events, name), renderer, flags.json ?? false, estimate);
    await rememberSpeed(cache, record);
  } finally {
    await model.close();
  }
}

/** The model is called what the user calls it, not what a file's metadata says. */
async function* named(events: AsyncIterable<AnswerEvent>, name: string): AsyncGenerator<AnswerEvent> {
  for await (const event of events) {
    if (event.type !== "result") yield event;
    else yield { ...event, record: { ...event.record, model: { ...event.record.model, name } } };
  }
}

/** Prints events as they come and returns the record. Kept apart from `run` so that it can be tested without a model. */
export async function printAnswer(
  events: AsyncIterable<AnswerEvent>,
  renderer: Renderer,
  json: boolean,
  estimate?: TokenEstimate,
): Promise<AnswerRecord> {
  let record: AnswerRecord | undefined;
  let last = "\n";
  try {
    for await (const event of events) {
      if (event.type === "progress") {
        const total = event.total ?? estimate?.total(event.done);
        renderer.progress(total === undefined ? event : { ...event, total });
      } else if (event.type === "warning") renderer.remark(event.message);
      else if (event.type === "result") record = event.record;
      else if (!json && event.text) {
        renderer.clear();
        writeOut(event.text);
        last = event.text;
      }
      await breathe();
    }
  } finally {
    renderer.clear();
    // Finished text stays, also after Ctrl-C, and the shell's prompt starts on a line of its own.
    if (!last.endsWith("\n")) writeOut("\n");
  }
  interruption.throwIfAborted();
  if (!record) throw new Error("the answer ended without a record");
  if (json) writeJson(record);
  renderer.statistics(record);
  return record;
}

/** @throws {DeviceError} for devices that come later. */
export function usableDevice(device: RunFlags["device"]): "auto" | "cpu" | "wasm" {
  if (device === "webgpu") {
    throw new DeviceError("The webgpu device is not in this version yet, --device cpu and --device wasm work");
  }
  return device;
}
