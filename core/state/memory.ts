/**
 * A memory that is kept in a file: read once, asked many times, read on. Everything that decides what its slots are stands in the file, and a memory restored
 * from it answers as the one that was saved would have, bit for bit on the same device.
 */
import type { BudgetRequest } from "../budget.ts";
import { writingRoom } from "../decode/room.ts";
import { BudgetError, ModelError } from "../errors.ts";
import type { FileSystem } from "../files.ts";
import { type Memory, type MemoryRequest, openMemory, type Progress } from "../memory.ts";
import type { EngineModel } from "../model.ts";
import { parsePolicy, POLICIES_VERSION } from "../policies.ts";
import { policyRecord } from "../policy.ts";
import type { Packs } from "../pack/packs.ts";
import { Reader } from "../reader.ts";
import type { PolicyRecord, SourceRecord } from "../record.ts";
import { plainTail, questionTokens } from "../tail.ts";
import { Places } from "../text/places.ts";
import type { Facts } from "./facts.ts";
import { type StateFile, writeState } from "./file.ts";
import { checkRestored, readingArrays, readingFacts, restoreFacts } from "./reading_state.ts";

/** Tokens that an answer may have at least: room that is the same whatever is asked for makes the same memory. */
const ANSWER_TOKENS = 256;
/** Tokens that a question may have without another room than a state was read with. */
const QUESTION_TOKENS = 256;

/** What a state is read with. It is asked with the same, but for `maxTokens` and longer questions, which take their room beside it. */
export interface StateRequest extends MemoryRequest {
  /** Tokens that an answer may have. Default, and the least that there is room for: 256. */
  maxTokens?: number | undefined;
  decodeBudget?: number | undefined;
  /** Questions that are known before, for policies that ask with them: all at once. Default: none is. */
  questions?: readonly string[];
}

/** What decides what a state's slots are. */
export interface Settings {
  system: string | null;
  policy: string;
  positions: MemoryRequest["positions"];
  /** As it was asked for; `budgetSlots` is what came of it. */
  budget: BudgetRequest;
  budgetSlots: number;
  chunkTokens: number;
  /** Room for question and answer. */
  tailTokens: number;
  maxTokens: number;
  decodeBudget: number | null;
}

export interface KeptMemory extends Memory {
  readonly model: EngineModel;
  readonly reader: Reader;
  readonly settings: Settings;
  /** `sha256` of the state that is read on from; null where reading began empty. */
  readonly base: string | null;
}

/** What a state says of itself before a model is opened. */
export interface StateSummary {
  /** Tells it from every other state. */
  sha256: string;
  model: { name: string; sha256: string };
  kvType: Reader["kvType"];
  settings: Settings;
  sources: SourceRecord[];
  /** Tokens read so far, where reading was interrupted; else null. */
  interruptedAt: number | null;
  /** `sha256` of the state that the interrupted reading reads on from; null where it began empty, or is whole. */
  base: string | null;
}

/**
 * An empty memory for documents whose questions are not known yet.
 * @throws {BudgetError} when the budget is unusable
 * @throws {UsageError} when the policy asks with the question
 */
export async function openKeptMemory(model: EngineModel, request: StateRequest): Promise<KeptMemory> {
  const { decodeBudget = null, questions = [] } = request, maxTokens = Math.max(ANSWER_TOKENS, request.maxTokens ?? 0);
  const tailTokens = plainTail(model.tokenizer, { ...request, instruction: "" }).length + QUESTION_TOKENS;
  const memory = await openMemory(model, request, {
    tailTokens,
    writing: writingRoom(parsePolicy(request.policy), { maxTokens, decodeBudget: decodeBudget ?? undefined }),
    questionTokens: questions.length > 0 ? questionTokens(model.tokenizer, questions.join("\n\n")) : [],
    documentBytes: Infinity,
  });
  const { chunkTokens, system = null } = memory, { policy, positions, budget } = request;
  const settings = {
    system,
    policy,
    positions,
    budget,
    budgetSlots: memory.budget.slots,
    chunkTokens,
    tailTokens,
    maxTokens,
    decodeBudget,
  };
  return kept(memory, model, settings, null);
}

function kept(memory: Memory, model: EngineModel, settings: Settings, base: string | null): KeptMemory {
  const { reader } = memory;
  if (!(reader instanceof Reader)) throw new Error("States hold readings over arrays only");
  return Object.assign(memory, { model, reader, settings, base });
}

/** Writes a memory, all of it or nothing. */
export async function saveMemory(files: FileSystem, path: string, memory: KeptMemory): Promise<void> {
  const { model, reader, settings, head, sources, places, spent, progress, base } = memory;
  const facts = {
    model: { name: model.name, architecture: model.config.architecture, sha256: model.sha256 },
    policies: { version: POLICIES_VERSION, ...policyRecord(memory.policy), packs: packHashes(model) },
    kvType: reader.kvType,
    settings,
    head,
    sources,
    places,
    spent,
    progress: progress && { ...progress, base },
    reading: readingFacts(reader),
  };
  await writeState(files, path, facts, readingArrays(reader));
}

const packHashes = ({ engine: { packs } }: EngineModel) =>
  Object.fromEntries(
    Object.entries(packs).map(([method, pack]) => [method, (pack as NonNullable<Packs[keyof Packs]>).header.sha256]),
  );

/** @throws {ModelError} when the file is no state */
export function summaryOf({ facts, sha256 }: StateFile): StateSummary {
  const model = facts.object("model"), progress = facts.lacks("progress") ? null : facts.object("progress");
  return {
    sha256,
    model: { name: model.text("name", 4096), sha256: model.text("sha256", 64) },
    kvType: facts.oneOf("kvType", ["f32", "f16", "int8"]),
    settings: settingsOf(facts.object("settings")),
    sources: sourcesOf(facts),
    interruptedAt: progress && facts.object("reading").whole("tokensRead"),
    base: !progress || progress.lacks("base") ? null : progress.text("base", 64),
  };
}

/**
 * A memory as it was saved.
 * @param rooms of the question and the answer, where they may be larger than those that it was read with
 * @throws {ModelError} when the state is another model's, another version's, damaged or unusable
 * @throws {BudgetError} when what is asked for does not fit beside the slots
 */
export async function restoreMemory(
  model: EngineModel,
  state: StateFile,
  { availableBytes, tailTokens = 0, maxTokens = 0 }: {
    availableBytes: number;
    tailTokens?: number;
    maxTokens?: number;
  },
): Promise<KeptMemory> {
  const { facts } = state, { refuse } = facts;
  const summary = summaryOf(state), { settings } = summary;
  if (summary.model.sha256 !== model.sha256) {
    throw new ModelError(
      `Cannot use state ${state.path}: it was made by model ${summary.model.name} (${
        summary.model.sha256.slice(0, 12)
      }…), ` +
        `and this is ${model.name} (${model.sha256.slice(0, 12)}…); only the file that made it can read it`,
    );
  }
  const request: MemoryRequest = {
    ...settings,
    system: settings.system ?? undefined,
    budget: { slots: settings.budgetSlots },
    availableBytes,
  };
  const memory = await openMemory(model, request, {
    tailTokens: Math.max(tailTokens, settings.tailTokens),
    writing: writingRoom(parsePolicy(settings.policy), {
      maxTokens: Math.max(maxTokens, settings.maxTokens),
      decodeBudget: settings.decodeBudget ?? undefined,
    }),
    questionTokens: [],
    documentBytes: Infinity,
  });
  if (memory.budget.slots !== settings.budgetSlots) {
    throw new BudgetError(
      `A question of ${tailTokens} tokens and an answer of ${maxTokens} leave ${memory.budget.slots} slots of the ${settings.budgetSlots} ` +
        `that ${state.path} holds: use a smaller --max-tokens`,
    );
  }
  checkMaker(facts.object("policies"), memory, model);
  if (model.engine.features.kvType !== summary.kvType) {
    throw new Error(`The model was opened for ${model.engine.features.kvType}, and the state holds ${summary.kvType}`);
  }
  if (facts.wholes("head").join() !== memory.head.join()) {
    throw refuse("its model's chat template is read otherwise now");
  }
  const base = summary.interruptedAt === null ? state.sha256 : summary.base;
  const restored = kept(memory, model, settings, base), { reader } = restored;
  memory.sources.push(...summary.sources);
  memory.places = placesOf(facts);
  const spent = facts.object("spent");
  Object.assign(memory.spent, { tokens: spent.whole("tokens"), ms: spent.number("ms") });
  memory.progress = facts.lacks("progress") ? null : progressOf(facts.object("progress"), memory.sources.length);
  restoreFacts(reader, facts.object("reading"));
  await state.fill(readingArrays(reader));
  checkRestored(reader, facts);
  reader.makeRoom();
  return restored;
}

/** @throws {ModelError} where other code or other packs chose the slots */
function checkMaker(policies: Facts, { policy }: Memory, model: EngineModel): void {
  const version = policies.whole("version");
  if (version !== POLICIES_VERSION) {
    throw policies.refuse(`its policies are of version ${version}, and this program's of version ${POLICIES_VERSION}`);
  }
  for (const [stage, variant] of Object.entries(policyRecord(policy)) as [keyof PolicyRecord, string][]) {
    if (policies.text(stage) !== variant) throw policies.refuse(`policy ${policy.name} has another ${stage} now`);
  }
  for (const [method, sha256] of Object.entries(packHashes(model))) {
    if (policies.object("packs").text(method, 64) !== sha256) {
      throw policies.refuse(`it was made with another pack of ${method} than the one that is here now`);
    }
  }
}

function settingsOf(facts: Facts): Settings {
  return {
    system: facts.lacks("system") ? null : facts.text("system"),
    policy: facts.text("policy", 4096),
    positions: facts.oneOf("positions", ["auto", "original", "compact"]),
    budget: budgetOf(facts),
    budgetSlots: facts.whole("budgetSlots"),
    chunkTokens: facts.whole("chunkTokens", 1 << 20, 1),
    tailTokens: facts.whole("tailTokens", 1 << 24),
    maxTokens: facts.whole("maxTokens", 1 << 24),
    decodeBudget: facts.lacks("decodeBudget") ? null : facts.whole("decodeBudget", 1 << 24),
  };
}

function budgetOf(facts: Facts): BudgetRequest {
  if (facts.lacks("budget")) return null;
  const budget = facts.object("budget");
  return budget.lacks("bytes") ? { slots: budget.whole("slots") } : { bytes: budget.whole("bytes") };
}

const sourcesOf = (facts: Facts): SourceRecord[] =>
  facts.objects("sources", 1 << 20).map((source) => ({
    name: source.text("name", 1 << 16),
    type: source.text("type", 100),
    bytes: source.whole("bytes"),
    tokens: source.whole("tokens"),
    ...source.lacks("pages") ? {} : { pages: source.whole("pages") },
    ...source.lacks("sha256") ? {} : { sha256: source.text("sha256", 64) },
  }));

const placesOf = (facts: Facts): Places =>
  new Places(
    facts.objects("places", 1 << 22).map((place) => ({
      from: place.whole("from"),
      source: place.text("source", 1 << 16),
      ...place.lacks("page") ? {} : { page: place.whole("page") },
      ...place.lacks("section") ? {} : { section: place.text("section", 1000) },
    })),
  );

const progressOf = (facts: Facts, sources: number): Progress => ({
  chunks: facts.whole("chunks"),
  digest: facts.text("digest", 64),
  tokensBefore: facts.whole("tokensBefore"),
  sourcesBefore: facts.whole("sourcesBefore", sources),
});
