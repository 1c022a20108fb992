/** Saved states on the command line: which flags go with one, the model that made it, and its memory. */
import { ModelError, UsageError } from "../core/errors.ts";
import type { EngineModel } from "../core/model.ts";
import type { StateFile } from "../core/state/file.ts";
import type { KeptMemory, StateSummary } from "../core/state/memory.ts";
import { cacheFolder } from "./folders.ts";
import { availableBytes, files } from "./host.ts";
import { readableCount } from "./numbers.ts";
import { type DeviceFlag, engineDevice, openStored } from "./open.ts";
import type { Renderer } from "./render.ts";
import type { Given } from "./given.ts";
import type { RunFlags } from "./run.ts";
import { resolveModel } from "./store.ts";

/** Flags that a state has fixed, by the name that commander gives them. */
const FIXED = {
  system: "--system",
  policy: "--policy",
  kvBudget: "--kv-budget",
  kvType: "--kv-type",
  chunk: "--chunk",
  positions: "--positions",
  decodeBudget: "--decode-budget",
  strict: "--strict",
} as const;

/** @throws {UsageError} for a flag that a state has fixed already */
export function refuseFixed(given: Given, path: string): void {
  const flag = Object.entries(FIXED).find(([name]) => given(name))?.[1];
  if (!flag) return;
  throw new UsageError(`${flag} was fixed when ${path} was read: leave it out, or read the documents again with it`);
}

/**
 * A reading that was interrupted goes on by the same command: flags that say what they said then are fine.
 * @throws {UsageError} for one that says something else
 */
export function refuseOther(given: Given, flags: RunFlags, { settings, kvType }: StateSummary, path: string): void {
  const { system, policy, budget, chunkTokens, positions, decodeBudget } = settings;
  const then = { system, policy, kvBudget: budget, kvType, chunk: chunkTokens, positions, decodeBudget };
  for (const [name, was] of Object.entries(then)) {
    const now = flags[name as keyof typeof then];
    if (!given(name) || JSON.stringify(now) === JSON.stringify(was)) continue;
    throw new UsageError(
      `${
        FIXED[name as keyof typeof then]
      } is not what it was when reading ${path} began: leave it out, or --fresh reads from the start`,
    );
  }
}

/** A state whose file is open, and what it says of itself. */
export interface NamedState {
  state: StateFile;
  summary: StateSummary;
}

export async function openNamed(path: string): Promise<NamedState> {
  const [{ openState }, { summaryOf }] = await Promise.all([
    import("../core/state/file.ts"),
    import("../core/state/memory.ts"),
  ]);
  const state = await openState(files, path);
  try {
    return { state, summary: summaryOf(state) };
  } catch (error) {
    await state.close();
    throw error;
  }
}

/** What the state of a file says of itself. @throws {ModelError} when it is none */
export async function summaryAt(path: string): Promise<StateSummary> {
  const { state, summary } = await openNamed(path);
  await state.close();
  return summary;
}

/** @throws {UsageError} for documents beside a state */
export function refuseDocuments(names: readonly string[], path: string): void {
  if (names.length === 0) return;
  throw new UsageError(
    `${names[0]} is a document, and ${path} holds its own: palimpsest read ${
      names[0]
    } --append -o ${path} reads it, too`,
  );
}

interface StateFlags {
  model: string;
  device: DeviceFlag;
  threads?: number | undefined;
}

/**
 * The model that made a state, opened for it.
 * @param given tells whether `--model` was: else the model is the one that the state names
 */
export async function openModelOf(
  { summary, state }: NamedState,
  flags: StateFlags,
  given: Given,
  command: string,
  renderer: Renderer,
): Promise<EngineModel> {
  const cache = cacheFolder(), name = given("model") ? flags.model : summary.model.name;
  const device = engineDevice(flags.device, command);
  const stored = await resolveModel(cache, name).catch((error) => {
    if (given("model") || !(error instanceof ModelError)) throw error;
    throw new ModelError(
      `${state.path} was made by model ${name} (${
        summary.model.sha256.slice(0, 12)
      }…), which is not among the pulled models: name its file with --model`,
      { cause: error },
    );
  });
  const model = await openStored(
    stored,
    device,
    { policy: summary.settings.policy, cacheFolder: cache, threads: flags.threads, renderer },
    summary.kvType,
  );
  return { ...model, name: stored.name };
}

/**
 * Lets `use` ask a saved state, and closes it, its memory and its model afterwards.
 * @param roomsOf the longest question, with its template, and the longest answer
 */
export async function withMemoryOf(
  path: string,
  { flags, given, command, renderer }: { flags: StateFlags; given: Given; command: string; renderer: Renderer },
  roomsOf: (model: EngineModel, summary: StateSummary) => Rooms | Promise<Rooms>,
  use: (memory: KeptMemory) => Promise<void>,
): Promise<void> {
  const open = await openNamed(path);
  try {
    const { interruptedAt } = open.summary;
    // an answer from a part of the documents passes for one from all of them
    if (interruptedAt !== null) {
      throw new UsageError(
        `${path} is a reading that was interrupted after ${readableCount(interruptedAt)} tokens: ` +
          "the command that began it, with --resume, makes a whole state of it",
      );
    }
    const model = await openModelOf(open, flags, given, command, renderer);
    try {
      using memory = await openMemoryOf(open, model, await roomsOf(model, open.summary));
      await use(memory);
    } finally {
      await model.close();
    }
  } finally {
    await open.state.close();
  }
}

interface Rooms {
  tailTokens: number;
  maxTokens: number;
}

/** A state's memory, asked by this process from now on: what reading took belongs to another. @param tailTokens of the longest question, with its template */
async function openMemoryOf({ state }: NamedState, model: EngineModel, rooms: Rooms): Promise<KeptMemory> {
  const { restoreMemory } = await import("../core/state/memory.ts");
  const memory = await restoreMemory(model, state, { availableBytes: availableBytes(), ...rooms });
  Object.assign(memory.spent, { tokens: 0, ms: 0 });
  memory.reader.policyMs = 0;
  return memory;
}
