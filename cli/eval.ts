/** `palimpsest eval [prose files...]`: what policies find and lose, on this machine and the user's own text. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { InputError, InterruptedError, UsageError } from "../core/errors.ts";
import { readText } from "../core/text/document.ts";
import {
  aggregateResults,
  asksTheQuestion,
  DEFAULT_TASKS,
  defaultChunk,
  defaultPolicies,
  evalReport,
  type EvalResult,
  evalTable,
  findTask,
  haystackOf,
  hearsTheQuestion,
  measureFull,
  measurePolicy,
  modelsFrom,
  ORACLE_POLICY,
  parsePolicy,
  parseTasksFile,
  type PlannedSample,
  plannedSamples,
  type Protocol,
  runEval,
  type Sample,
  spellEvalBudget,
  strategies,
  type Strategy,
} from "../mod.ts";
import { openDocuments } from "./documents.ts";
import { evalBudget, list, numbers, oneNumber, policyList } from "./eval_flags.ts";
import { jsonLines, storeError } from "./eval_store.ts";
import { cacheFolder } from "./folders.ts";
import { availableBytes, collectGarbage } from "./host.ts";
import { cpuKvType, engineDevice, openStored } from "./open.ts";
import type { StoredType } from "../core/stored_rows.ts";
import { isTerminal, writeErr, writeJson, writeOut } from "./output.ts";
import { version } from "./version.ts";
import { createRenderer, type Renderer } from "./render.ts";
import type { RunFlags } from "./run.ts";
import { weightsOf } from "./packs.ts";
import { breathe, interruption } from "./signals.ts";
import { resolveModel } from "./store.ts";

/** Flags of `eval`. Lists stay as they were typed until here. */
export interface EvalFlags extends Pick<RunFlags, "model" | "chunk" | "positions" | "device" | "threads" | "kvType"> {
  policy?: string[] | undefined;
  strategy?: string[] | undefined;
  kvBudget?: string[] | undefined;
  length?: string[] | undefined;
  task?: string[] | undefined;
  samples?: string[] | undefined;
  seed?: string[] | undefined;
  protocol: Protocol | "both";
  tasks?: string | undefined;
  out?: string | undefined;
  html?: string | undefined;
  fresh?: boolean | undefined;
  json?: boolean | undefined;
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
  color?: boolean | undefined;
}

/** Tells stderr at most so often how far it is, where there is no terminal to show it on. */
const PLAIN_EVERY_MS = 10_000;

export async function evaluate(names: string[], flags: EvalFlags): Promise<void> {
  // everything that can be wrong about the words is told before a model is loaded
  const usual = flags.protocol === "agnostic"
    ? [defaultPolicies.agnostic, "snapkv", "keydiff", "streaming"]
    : [defaultPolicies.ask, "question", "snapkv", "streaming"];
  const policies = policyList(flags.policy, usual);
  policies.forEach((policy) => parsePolicy(policy));
  const protocols: Protocol[] = flags.protocol === "both" ? ["aware", "agnostic"] : [flags.protocol];
  refuseUselessPlan(policies, protocols);
  const ways = list("--strategy", flags.strategy, ["stream"]).map(strategyNamed);
  const budgets = list("--kv-budget", flags.kvBudget, ["25%"]).map(evalBudget);
  const lengths = numbers("--length", flags.length, 2000, 100).sort((a, b) => a - b);
  const samples = oneNumber("--samples", flags.samples, 20, 1), seed = oneNumber("--seed", flags.seed, 1, 0);
  const tasks = list("--task", flags.task, flags.tasks ? [] : DEFAULT_TASKS).map(findTask);
  const needy = tasks.filter((task) => task.needsProse);
  if (needy.length > 0 && names.length === 0) {
    throw new UsageError(
      `No text is named, and task ${needy[0]!.name} makes its documents from your prose: palimpsest eval book.txt, ` +
        "or --task niah_single_1,vt,cwe,fwe, which need none, or --tasks file.jsonl with documents of its own",
    );
  }
  const device = engineDevice(flags.device, "eval");
  const fromFile = flags.tasks
    ? firstOfEach(parseTasksFile(await readWhole(flags.tasks), flags.tasks), flags.samples ? samples : Infinity)
    : [];
  const cache = cacheFolder(), renderer = createRenderer(flags);
  const prose = needy.length > 0 ? await readProse(names, renderer) : "";
  const stored = await resolveModel(cache, flags.model), { name } = stored;
  const weights = await weightsOf(stored.path, policies);
  const kvType = cpuKvType(flags.kvType);
  const modelsIn = (kvType: StoredType) =>
    modelsFrom((policy) =>
      openStored(stored, device, { policy, cacheFolder: cache, threads: flags.threads, renderer }, kvType)
    );
  // the full cache is what all are compared with, so it loses nothing
  const models = modelsIn("f32"), measured = kvType === "f32" ? models : modelsIn(kvType);
  try {
    const model = await models.for(ORACLE_POLICY), haystack = haystackOf(model.tokenizer, prose);
    const trained = model.config.trainedPositions, tooLong = lengths.find((length) => length + 200 > trained);
    if (tooLong !== undefined && tasks.length > 0) {
      renderer.remark(
        `${name} was trained on ${trained} positions: at ${tooLong} tokens the full cache is no sound reference`,
      );
    }
    const planned: PlannedSample[] = [
      ...lengths.flatMap((length) => tasks.flatMap((task) => plannedSamples(task, haystack, length, samples, seed))),
      ...fromFile.map((sample, index) => ({ task: sample.task, length: null, index, make: () => sample })),
    ];
    const chunkTokens = flags.chunk ?? defaultChunk(model.engine.device.kind, null, model.config);
    const settings = {
      chunkTokens,
      positions: flags.positions,
      availableBytes: availableBytes(),
      collectGarbage,
      breathe,
      signal: interruption,
    };
    const identity = {
      model: model.sha256,
      device: model.engine.device.kind,
      chunk: chunkTokens,
      positions: flags.positions,
      // times are results too, and another version's policies are others
      threads: flags.threads ?? 0,
      ...(kvType === "f32" ? {} : { kvType }),
      version,
    };
    const kept = flags.out ? join(flags.out, "results.jsonl") : join(cache, "eval", "results.jsonl");
    const pages = [flags.html, flags.out && join(flags.out, "report.html")].filter((page) => page !== undefined);
    for (const page of pages) if (page) await makeRoomFor(page);
    const results: EvalResult[] = [], store = jsonLines(kept);
    const events = runEval({ samples: planned, policies, strategies: ways, budgets, protocols, identity, weights }, {
      full: (sample) => measureFull(models.for, sample, settings),
      policy: (sample, reference, cell) => measurePolicy(measured.for, sample, reference, cell, settings),
      asks: asksTheQuestion,
      hears: hearsTheQuestion,
    }, flags.fresh ? { ...store, load: () => store.load().then(() => []) } : store);
    let fresh = 0, total = 0, told = performance.now();
    try {
      for await (const event of events) {
        interruption.throwIfAborted();
        if (event.type === "skipped") {
          renderer.remark(`${event.policy} asks with the question: it is left out of the ${event.protocol} protocol`);
        } else if (event.type === "result") {
          results.push(event.result);
          if (event.fresh) fresh++;
        } else {
          total = event.total;
          const what = [event.sample, event.policy, event.budget].filter(Boolean).join(" · ");
          renderer.status(`${event.done} of ${event.total} · ${what}`);
          if (!isTerminal.stderr() && performance.now() - told > PLAIN_EVERY_MS) {
            renderer.remark(`${event.done} of ${event.total} · ${what}`);
            told = performance.now();
          }
        }
      }
    } catch (error) {
      renderer.clear();
      if (error instanceof InterruptedError && !flags.quiet) {
        writeErr(
          `palimpsest: ${results.length} of ${total} results are kept in ${kept}: the same command goes on from there\n`,
        );
      }
      throw error;
    }
    renderer.clear();
    if (results.length > fresh) {
      renderer.remark(`${results.length - fresh} results were there already, in ${kept}: --fresh measures them again`);
    }

    const rows = aggregateResults(results), table = evalTable(rows);
    const facts: [string, string][] = [
      ["model", name],
      ["device", `${model.engine.device.kind} (${model.engine.device.name})`],
      ["chunk", `${chunkTokens} tokens`],
      ["keys and values", kvType],
      ["budgets", budgets.map(spellEvalBudget).join(", ")],
      ...(tasks.length > 0 ? [["seed", String(seed)] as [string, string]] : []),
      ...(names.length > 0 ? [["prose", names.join(", ")] as [string, string]] : []),
      ...(flags.tasks ? [["tasks", flags.tasks] as [string, string]] : []),
    ];
    const page = evalReport(results, { facts, command: spellCommand(process.argv.slice(2)) });
    for (const target of pages) if (target) await write(target, page);
    if (flags.out) await write(join(flags.out, "table.md"), table);
    if (!flags.json) return writeOut(table);
    writeJson({
      schema: "palimpsest.eval/1",
      command: "eval",
      model: { name, architecture: model.config.architecture, sha256: model.sha256, trainedPositions: trained },
      device: model.engine.device,
      settings: { chunkTokens, positions: flags.positions, kvType, samples, seed, protocols },
      rows,
      results: kept,
      measured: fresh,
      reused: results.length - fresh,
    });
  } finally {
    await models.close();
    if (measured !== models) await measured.close();
  }
}

/** A plan under which nothing could be measured is refused with its reason; one that is only in part possible is remarked on later. */
function refuseUselessPlan(policies: readonly string[], protocols: readonly Protocol[]): void {
  const idle = protocols.includes("aware") ? [] : policies.filter(asksTheQuestion);
  if (idle.length === 0) return;
  throw new UsageError(
    `Policy ${idle[0]} asks with the question, which the protocol "agnostic" does not tell it: use --protocol aware ` +
      "or both, or other policies, such as snapkv",
  );
}

function strategyNamed(name: string): Strategy {
  const found = strategies.find((one) => one === name);
  if (found) return found;
  throw new UsageError(`Unknown strategy ${JSON.stringify(name)}: there are ${strategies.join(", ")}`);
}

/** The first `count` samples of every task. */
function firstOfEach(all: Sample[], count: number): Sample[] {
  const seen = new Map<string, number>();
  return all.filter(({ task }) => {
    const before = seen.get(task) ?? 0;
    seen.set(task, before + 1);
    return before < count;
  });
}

async function readProse(names: string[], renderer: Renderer): Promise<string> {
  const texts: string[] = [];
  for (const source of await openDocuments(names)) {
    let text = "";
    for await (const piece of readText(source, renderer.remark)) text += piece.text;
    texts.push(text.trim());
  }
  return texts.join("\n\n");
}

async function readWhole(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error) => {
    const reason = error.code === "ENOENT"
      ? "no such file"
      : error.code === "EISDIR"
      ? "it is a folder"
      : error.message;
    throw new InputError(`Cannot read ${path}: ${reason}`, { cause: error });
  });
}

async function makeRoomFor(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true }).catch((error) => Promise.reject(storeError(path, error)));
}

async function write(path: string, text: string): Promise<void> {
  await writeFile(path, text).catch((error) => Promise.reject(storeError(path, error)));
}

/** The command as it could be typed again. */
const spellCommand = (words: string[]): string =>
  ["palimpsest", ...words.map((word) => /^[\w./,:=%@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)]
    .join(" ");
