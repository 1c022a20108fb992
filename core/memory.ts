/** A document's memory, of a size that is fixed before the first token: opened empty here, filled by `read.ts`, asked by `answer.ts`. */
import { type Budget, type BudgetRequest, defaultChunk, resolveBudget } from "./budget.ts";
import type { WritingRoom } from "./decode/room.ts";
import type { LoadedModel } from "./model.ts";
import { parsePolicy } from "./policies.ts";
import { type Policy, policyRecord } from "./policy.ts";
import type { Reading } from "./reading.ts";
import type { Positions, SourceRecord } from "./record.ts";
import { answerTokens } from "./tail.ts";
import { Places } from "./text/places.ts";
import { renderPrompt } from "./text/prompt.ts";

/** What decides a memory's size and what stays in it. */
export interface MemoryRequest {
  /** Stands before the document. */
  system?: string | undefined;
  /** Must ask the graph for no more than the policy that the model was opened with. */
  policy: string;
  budget: BudgetRequest;
  /** Tokens per forward pass. Default: 512, on a GPU more (`defaultChunk`). */
  chunkTokens?: number | undefined;
  positions: "auto" | Positions;
  /** Most bytes that the cache may take. */
  availableBytes: number;
}

/** What a memory must have room for beside the document. */
export interface MemoryRooms {
  /** Tokens of the question with its template, at most. */
  tailTokens: number;
  /** What is written. */
  writing: WritingRoom;
  /** Tokens that the `question` probe forwards; none where the document is read before its questions are known. */
  questionTokens: number[];
  /** First words of the answer, where they are known. */
  opening?: string | undefined;
  /** Bytes of all documents; Infinity where some are not known. */
  documentBytes: number;
}

/** How far reading is, so that it can be taken up again where it stopped. */
export interface Progress {
  /** Chunks that were read. */
  chunks: number;
  /** SHA-256 of their tokens: each chunk's with that of those before it. */
  digest: string;
  /** What the memory held before: tokens and documents. */
  tokensBefore: number;
  sourcesBefore: number;
}

/** Disposing gives back what a device holds of it. */
export interface Memory extends Disposable {
  readonly model: LoadedModel;
  readonly policy: Policy;
  readonly reader: Reading;
  readonly budget: Budget;
  readonly chunkTokens: number;
  readonly writing: WritingRoom;
  readonly system: string | undefined;
  /** Tokens of the prompt before the document. */
  readonly head: readonly number[];
  /** What was read, in order; the last one's counts grow while it is read. */
  readonly sources: SourceRecord[];
  /** Where in them a token of the prompt stands. */
  places: Places;
  /** What reading took: tokens that were forwarded, and the time for them. */
  readonly spent: { tokens: number; ms: number };
  /** How far reading is; null before and after it. */
  progress: Progress | null;
}

/** Tokens per forward pass: those that are asked for, or the device's. */
export const chunkTokensOf = ({ device, config }: LoadedModel, request: MemoryRequest): number =>
  request.chunkTokens ?? defaultChunk(device.kind, request.budget, config);

/**
 * @throws {BudgetError} when the budget is unusable
 * @throws {UsageError} when the model was opened for a policy that needs less of the graph, or the policy needs a question that is not known
 */
export async function openMemory(model: LoadedModel, request: MemoryRequest, rooms: MemoryRooms): Promise<Memory> {
  const { tokenizer, config } = model, { system } = request, { writing } = rooms;
  const policy = parsePolicy(request.policy);
  const chunkTokens = chunkTokensOf(model, request);
  const prompt = { system, instruction: "" };
  const head = tokenizer.encode(renderPrompt(tokenizer, prompt).head, { control: true });
  const reserve = rooms.tailTokens + policy.recall.tokens + writing.slots;
  const budget = resolveBudget({
    config,
    policy,
    request: request.budget,
    chunkTokens,
    reserve,
    decodeBudget: writing.budget,
    unboundedPositions: request.positions === "original",
    availableBytes: request.availableBytes,
    documentTokens: rooms.documentBytes + head.length,
    allocation: await model.allocation(policy, { chunkTokens, reserve, decodeBudget: writing.budget }),
  });
  const reader = await model.openReading(policy, {
    budget,
    chunkTokens,
    reserve,
    positions: request.positions,
    questionTokens: rooms.questionTokens,
    answerTokens: answerTokens(tokenizer, { ...prompt, opening: rooms.opening }),
    headTokens: head.length,
    tokenizer,
    decodeBudget: writing.budget,
  });
  return {
    model,
    policy,
    reader,
    budget,
    chunkTokens,
    writing,
    system,
    head,
    sources: [],
    places: new Places(),
    spent: { tokens: 0, ms: 0 },
    progress: null,
    [Symbol.dispose]: () => reader[Symbol.dispose](),
  };
}

/** What every record of a memory tells of it: the model, the documents, and what became of their slots. */
export function memoryRecord({ model, policy, reader, budget, sources }: Memory) {
  const { name, sha256, config: { architecture, trainedPositions } } = model;
  return {
    model: { name, architecture, sha256, trainedPositions },
    device: model.device,
    policy: policyRecord(policy),
    document: { sources, tokens: sources.reduce((sum, { tokens }) => sum + tokens, 0) },
    kv: {
      budgetSlots: budget.slots,
      capacitySlots: budget.capacity,
      bytes: reader.kvBytes,
      type: reader.kvType,
      compactions: reader.compactions,
      peakLiveSlots: reader.peakLiveSlots,
      evictedSlots: reader.evicted,
      positions: reader.positions,
    },
  };
}

/** What the user should know of a budget; null where there is nothing. */
export function clampWarning({ budget, model }: Memory): string | null {
  if (budget.clampedFrom === null) return null;
  return `A budget of ${budget.clampedFrom} slots is more than the ${model.config.trainedPositions} positions of ${model.name} allow: ` +
    `reading with ${budget.slots}`;
}
