/** `palimpsest batch <manifest>`: many documents, one model, one result a line; a stopped run goes on where it was. */
import process from "node:process";
import { DeviceError, InterruptedError, PalimpsestError, UsageError } from "../../core/errors.ts";
import type { LoadedModel } from "../../core/model.ts";
import type { AnswerRecord } from "../../core/record.ts";
import { askTask } from "../ask.ts";
import { openDocuments, wholeText } from "../documents.ts";
import { BATCH_FAILED } from "../exit_codes.ts";
import { cacheFolder } from "../folders.ts";
import { openAnywhere } from "../open.ts";
import { refuseClosedStdout, writeJson, writeOut } from "../output.ts";
import { createRenderer, type Renderer } from "../render.ts";
import { lossOf, named, noGpus, refuseDevices, refuseIdle, requestOf, type RunFlags, type RunTask } from "../run.ts";
import { breathe, interruption } from "../signals.ts";
import type { Given } from "../given.ts";
import { resolveModel } from "../store.ts";
import { summaryTask } from "../summarize.ts";
import { type BatchLine, keyOf, parseManifest, type Shard, takes } from "./manifest.ts";
import { openResults, type ResultFile } from "./results.ts";

/** Flags of `batch`; `timeout` is for each line. */
export interface BatchFlags extends RunFlags {
  out?: string | undefined;
  shard?: Shard | undefined;
  length?: number | undefined;
}

/** Opens the model, once for questions and once for summaries, and answers every line that has no result yet. @param given flags of the command line */
export async function batch(manifest: string, flags: BatchFlags, given: Given): Promise<void> {
  const { defaultPolicies, MAP_POLICY, parsePolicy, writingRoom } = await import("../../mod.ts");
  refuseDevices(flags);
  if (flags.out === "-") throw new UsageError("--out - is no file: without --out, results go to stdout");
  if (!flags.out) refuseClosedStdout();
  refuseIdle(flags, given);
  const renderer = createRenderer(flags);
  const cache = cacheFolder(), stored = await resolveModel(cache, flags.model);
  const lines = parseManifest(
    await wholeText(manifest, "manifest", renderer.remark),
    manifest === "-" ? "stdin" : manifest,
  )
    .filter((line) => !flags.shard || takes(flags.shard, line.id));
  const policyOf = (command: BatchLine["command"]) =>
    flags.strategy === "map-reduce" ? MAP_POLICY : flags.policy ?? defaultPolicies[command];
  for (const line of lines) {
    for (const { maxTokens } of tasksOf(line, flags)) {
      writingRoom(parsePolicy(policyOf(line.command)), {
        maxTokens: flags.maxTokens ?? maxTokens,
        decodeBudget: flags.decodeBudget,
      });
    }
  }
  const { kvBudget, chunk, positions, maxTokens, decodeBudget, system, kvType, strict, length } = flags;
  const model = stored.sha256 ?? stored.path;
  // only what is asked for changes a key
  const strategy = flags.strategy === "stream" ? undefined : flags.strategy, cite = flags.cite || undefined;
  const settings = { model, kvBudget, chunk, positions, maxTokens, decodeBudget, system, kvType, strict, length };
  const asked = { ...settings, strategy, cite };
  const keys = new Map(lines.map((line) => [line.id, keyOf(line, { ...asked, policy: policyOf(line.command) })]));
  const results = flags.out ? await openResults(flags.out, keys) : onStdout;
  const wanted = lines.filter((line) => !results.answered.has(line.id));
  const count = { lines: lines.length, skipped: lines.length - wanted.length, answered: 0, failed: 0 };

  try {
    for (const command of ["ask", "summarize"] as const) {
      const ofCommand = wanted.filter((line) => line.command === command);
      if (ofCommand.length === 0) continue;
      const policy = policyOf(command);
      const open = (device: RunFlags["device"], gpus?: typeof noGpus) =>
        openAnywhere(stored, device, { policy, cacheFolder: cache, threads: flags.threads, renderer }, {
          allowSoftware: flags.allowSoftware ?? false,
          kvType: flags.kvType ?? "auto",
          takesNotes: command === "summarize" || strategy === "stream+verify",
          onNote: flags.verbose ? renderer.remark : () => {},
          gpus,
        });
      let model = await open(flags.device);
      try {
        for (const line of ofCommand) {
          renderer.status(`${count.answered + count.failed} of ${wanted.length} done · ${line.id}`);
          const tell = { flags, policy, name: stored.name, renderer };
          const result = await resultOf(line, model, tell).catch(async (error) => {
            const lost = await lossOf(model, error);
            if (!lost || flags.device !== "auto") throw lost ?? error;
            renderer.remark(`${lost.message}; going on with the CPU`);
            await model.close();
            model = await open("auto", noGpus);
            return await resultOf(line, model, tell);
          });
          const failed = result.schema === "palimpsest.error/1";
          if (failed) renderer.remark(`${line.id}: ${result.message}`);
          count[failed ? "failed" : "answered"]++;
          await results.append({ id: line.id, key: keys.get(line.id), ...result });
        }
      } finally {
        await model.close();
      }
    }
  } finally {
    renderer.clear();
    await results.close();
  }
  const { skipped, answered, failed } = count;
  renderer.remark(`${answered} answered, ${failed} failed, ${skipped} were there already`);
  if (flags.json && flags.out) writeJson({ schema: "palimpsest.batch/1", command: "batch", out: flags.out, ...count });
  if (failed > 0) process.exitCode = BATCH_FAILED;
}

type LineResult =
  | AnswerRecord & { question?: string }
  | { schema: "palimpsest.answers/1"; answers: AnswerRecord[] }
  | { schema: "palimpsest.error/1"; code: number; message: string };

interface Telling {
  flags: BatchFlags;
  policy: string;
  name: string;
  renderer: Renderer;
}

/**
 * The line's answer or answers, or its error: what is wrong with one line stops no other.
 * @throws {InterruptedError}
 * @throws {DeviceError} which every other line would meet, too
 */
async function resultOf(
  line: BatchLine,
  model: LoadedModel,
  { flags, policy, name, renderer }: Telling,
): Promise<LineResult> {
  const over = flags.timeout ? AbortSignal.timeout(flags.timeout) : null;
  const signal = over ? AbortSignal.any([over, interruption]) : interruption;
  try {
    const { answer } = await import("../../mod.ts");
    const answers: AnswerRecord[] = [];
    for (const task of tasksOf(line, flags)) {
      const sources = await openDocuments(line.documents);
      const events = named(answer(model, requestOf({ ...task, sources, policy }, flags, signal)), name);
      for await (const event of events) {
        if (event.type === "progress") renderer.progress(event);
        else if (event.type === "warning") renderer.remark(`${line.id}: ${event.message}`);
        else if (event.type === "result") answers.push(event.record);
        await breathe();
      }
    }
    return line.several ? { schema: "palimpsest.answers/1", answers: withQuestions(answers, line) } : answers[0]!;
  } catch (error) {
    interruption.throwIfAborted();
    if (error instanceof InterruptedError && over?.aborted) {
      return { schema: "palimpsest.error/1", code: 124, message: "Stopped when the time of --timeout was over" };
    }
    if (error instanceof DeviceError || await lossOf(model, error)) throw error;
    const { code, message } = error instanceof PalimpsestError
      ? error
      : { code: 1, message: `Unexpected failure: ${(error as Error).message ?? error}` };
    return { schema: "palimpsest.error/1", code, message };
  }
}

const withQuestions = (answers: AnswerRecord[], { questions }: BatchLine) =>
  answers.map((record, i) => ({ question: questions[i]!, ...record }));

function tasksOf(line: BatchLine, flags: BatchFlags): Omit<RunTask, "sources">[] {
  return line.command === "ask" ? line.questions.map(askTask) : [summaryTask(line.length ?? flags.length)];
}

/** Nothing is remembered of what went to stdout. */
const onStdout: ResultFile = {
  answered: new Set(),
  append: (result) => Promise.resolve(writeOut(JSON.stringify(result) + "\n")),
  close: () => Promise.resolve(),
};
