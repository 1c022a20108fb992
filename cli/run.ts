/** What `ask` and `summarize` share: from a command line to an answer on stdout. */
import { eachTime, type Source } from "../core/text/document.ts";
import { DeviceError, InterruptedError, UsageError } from "../core/errors.ts";
import type { AnswerRequest } from "../core/answer_request.ts";
import type { LoadedModel } from "../core/model.ts";
import type { AnswerEvent, AnswerRecord } from "../core/record.ts";
import type { BudgetFlag } from "./budget_flag.ts";
import { estimateTokens, type TokenEstimate } from "./estimate.ts";
import { cacheFolder } from "./folders.ts";
import type { Gpus } from "./gpus.ts";
import { availableBytes, collectGarbage, peakRssBytes } from "./host.ts";
import { type KvTypeFlag, openAnywhere } from "./open.ts";
import { writeJson, writeOut } from "./output.ts";
import { createRenderer, type Renderer } from "./render.ts";
import { breathe, interruption } from "./signals.ts";
import { emptyTrace } from "../core/report/trace.ts";
import type { Given } from "./given.ts";
import type { Strategy } from "../core/strategy.ts";
import { rememberSpeed } from "./speeds.ts";
import { resolveModel } from "./store.ts";

/** The flags of both commands, parsed. */
export interface RunFlags {
  model: string;
  kvBudget?: BudgetFlag | undefined;
  chunk?: number;
  policy?: string | undefined;
  strategy?: Strategy | undefined;
  positions: "auto" | "original" | "compact";
  maxTokens?: number | undefined;
  decodeBudget?: number | undefined;
  system?: string | undefined;
  device: "auto" | "cpu" | "wasm" | "webgpu";
  kvType?: KvTypeFlag;
  allowSoftware?: boolean | undefined;
  threads?: number | undefined;
  strict?: boolean | undefined;
  cite?: boolean | undefined;
  report?: string | undefined;
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
  color?: boolean | undefined;
  progress?: "auto" | "json" | undefined;
  /** In milliseconds; 0 is no limit. */
  timeout?: number | undefined;
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

/** Opens the model, runs the task and prints the answer, or the record under `--json`. @param gpus where GPUs come from, if not from this machine */
export async function run(task: RunTask, flags: RunFlags, gpus?: Gpus): Promise<void> {
  const { defaultPolicies, MAP_POLICY, parsePolicy, refuseUnrepeatable, writingRoom } = await import("../mod.ts");
  const { strategy = "stream" } = flags;
  if (strategy === "stream+verify") refuseUnrepeatable(task.sources);
  const policy = strategy === "map-reduce" ? MAP_POLICY : flags.policy ?? defaultPolicies[task.command];
  refuseDevices(flags);
  if (flags.report !== undefined) await (await import("./report.ts")).refuseReport(flags.report);
  // Told before anything is loaded or read.
  writingRoom(parsePolicy(policy), {
    maxTokens: flags.maxTokens ?? task.maxTokens,
    decodeBudget: flags.decodeBudget,
  });
  const cache = cacheFolder();
  const stored = await resolveModel(cache, flags.model);
  const renderer = createRenderer(flags);
  const onNote = flags.verbose ? renderer.remark : () => {};
  const open = (device: RunFlags["device"], from: Gpus | undefined) =>
    openAnywhere(stored, device, { policy, cacheFolder: cache, threads: flags.threads, renderer }, {
      allowSoftware: flags.allowSoftware ?? false,
      kvType: flags.kvType ?? "auto",
      takesNotes: task.notes !== undefined || strategy === "stream+verify",
      onNote,
      gpus: from,
    });
  let printed = false, begun = false;
  const attempt = async (model: LoadedModel) => {
    const sources = task.sources.map((source) => ({
      ...source,
      chunks: eachTime(() => noticed(source.chunks, () => begun = true)),
    }));
    const answered = { ...task, sources, name: stored.name, policy, onText: () => printed = !flags.json };
    await rememberSpeed(cache, await answerWith(model, answered, flags, renderer));
  };
  let model = await open(flags.device, gpus);
  try {
    await attempt(model).catch(async (error) => {
      const lost = await lossOf(model, error);
      if (!lost) throw error;
      if (flags.device !== "auto") throw lost;
      if (begun) refuseToRepeat(lost, task.sources, printed);
      renderer.remark(`${lost.message}; ${begun ? "reading again from the start, on" : "going on with"} the CPU`);
      await model.close();
      model = await open("auto", noGpus);
      await attempt(model);
    });
  } finally {
    await model.close();
  }
}

/** @param given flags of the command line. @throws {UsageError} for what means nothing where each part is answered on its own */
export function refuseIdle({ strategy, report, policy }: RunFlags, given: Given): void {
  if (strategy !== "map-reduce") return;
  const idle = given("policy") ? `--policy ${policy}` : report !== undefined ? "--report" : null;
  if (idle === null) return;
  throw new UsageError(
    `--strategy map-reduce evicts nothing from a part and keeps nothing from part to part, so ${idle} means nothing to it: use --strategy stream`,
  );
}

/** @throws {UsageError} for flags that no device fits */
export function refuseDevices(flags: RunFlags): void {
  if (flags.allowSoftware && flags.device !== "webgpu") {
    throw new UsageError(`--allow-software goes with --device webgpu, and the device is ${flags.device}`);
  }
}

/** For the second try, after a GPU was lost. */
export const noGpus: Gpus = {
  mayBeHere: () => false,
  opener: () => Promise.reject(new DeviceError("No GPU is wanted")),
};

/** Why the GPU is no longer there, or not up to it; null where something else went wrong. */
export async function lossOf({ device, failure }: LoadedModel, error: unknown): Promise<DeviceError | null> {
  if (device.kind !== "webgpu" || error instanceof InterruptedError) return null;
  await new Promise<void>((done) => setTimeout(done, 0)); // what was under way fails before the device says that it is gone
  return failure() ?? (error instanceof DeviceError ? error : null);
}

/** @param printed a part of the answer stands on stdout already. @throws {DeviceError} where reading again is not possible */
function refuseToRepeat(lost: DeviceError, sources: readonly Source[], printed: boolean): void {
  const gone = sources.find((source) => !source.repeatable);
  if (gone) {
    throw new DeviceError(
      `${lost.message}; ${gone.name} cannot be read a second time: a file can, and --device cpu needs no GPU`,
      { cause: lost },
    );
  }
  if (printed) {
    throw new DeviceError(`${lost.message}, in the middle of the answer: --device cpu works`, { cause: lost });
  }
}

async function answerWith(
  model: LoadedModel,
  task: RunTask & { name: string; policy: string; onText: () => void },
  flags: RunFlags,
  renderer: Renderer,
): Promise<AnswerRecord> {
  const { answer } = await import("../mod.ts");
  const estimate = estimateTokens(task.sources);
  const trace = flags.report === undefined ? undefined : emptyTrace();
  const request = { ...requestOf({ ...task, sources: estimate.sources }, flags, interruption), trace };
  const events = named(watched(answer(model, request), task.onText), task.name);
  const record = await printAnswer(events, renderer, flags.json ?? false, estimate);
  if (trace) {
    const { tokenizer } = model, question = task.instruction;
    await (await import("./report.ts")).writeReport(flags.report!, { record, question, trace, tokenizer });
  }
  return record;
}

/** What the library is asked for. */
export function requestOf(task: RunTask & { policy: string }, flags: RunFlags, signal: AbortSignal): AnswerRequest {
  return {
    command: task.command,
    sources: task.sources,
    instruction: task.instruction,
    ...(flags.system === undefined ? {} : { system: flags.system }),
    policy: task.policy,
    ...(flags.strategy === undefined ? {} : { strategy: flags.strategy }),
    budget: flags.kvBudget ?? null,
    ...(flags.chunk === undefined ? {} : { chunkTokens: flags.chunk }),
    positions: flags.positions,
    maxTokens: flags.maxTokens ?? task.maxTokens,
    ...(flags.decodeBudget === undefined ? {} : { decodeBudget: flags.decodeBudget }),
    ...(task.opening ? { opening: task.opening } : {}),
    ...(task.notes ? { notes: task.notes } : {}),
    strict: flags.strict ?? false,
    cite: flags.cite ?? false,
    availableBytes: availableBytes(),
    peakRssBytes,
    collectGarbage,
    signal,
  };
}

/** @param onBegin called when something is read */
async function* noticed(pieces: AsyncIterable<Uint8Array>, onBegin: () => void): AsyncGenerator<Uint8Array> {
  onBegin();
  yield* pieces;
}

async function* watched(events: AsyncIterable<AnswerEvent>, onText: () => void): AsyncGenerator<AnswerEvent> {
  for await (const event of events) {
    if (event.type === "text" && event.text) onText();
    yield event;
  }
}

/** The model is called what the user calls it, not what a file's metadata says. */
export async function* named(events: AsyncIterable<AnswerEvent>, name: string): AsyncGenerator<AnswerEvent> {
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
        const total = event.total ?? (event.phase === "prefill" ? estimate?.total(event.done) : undefined);
        renderer.progress(total === undefined ? event : { ...event, total });
      } else if (event.type === "status") {
        // on a terminal both streams share the line that an answer ends on
        if (!last.endsWith("\n")) writeOut(last = "\n");
        renderer.status(event.message);
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
  else if (record.citations) renderer.citations(record.citations);
  renderer.statistics(record);
  return record;
}
