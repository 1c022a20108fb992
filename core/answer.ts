/** THE STORY: documents go in, one chunk at a time, the memory stays as large as it was, and an answer comes out. */
import { decode } from "./decode/write.ts";
import { writingRoom } from "./decode/room.ts";
import type { LoadedModel } from "./model.ts";
import { clampWarning, type Memory, memoryRecord, type MemoryRequest, openMemory } from "./memory.ts";
import { Notes, tidy } from "./notes.ts";
import { UsageError } from "./errors.ts";
import { defaultPolicies, parsePolicy } from "./policies.ts";
import { needs, type Policy } from "./policy.ts";
import { cacheShape } from "./engine/layers.ts";
import type { DocumentPlace } from "./reading.ts";
import type { Trace } from "./report/trace.ts";
import { read, type ReadOptions, throwIfAborted } from "./read.ts";
import type { AnswerEvent, AnswerRecord } from "./record.ts";
import { citations, plainTail, questionTokens, recalledTail } from "./tail.ts";
import type { Source } from "./text/document.ts";
import type { Turn } from "./text/prompt.ts";

/** What is asked of a memory. */
export interface Question {
  command: "ask" | "summarize";
  /** The question, or what to write. */
  instruction: string;
  /** What was asked and answered before it. */
  turns?: readonly Turn[];
  /** First words of the answer, which the model goes on from: they keep a small model to the matter. */
  opening?: string;
  maxTokens: number;
  /** What a report will tell of it; it tells where the answer came from, too, where that is known. */
  trace?: Trace | undefined;
  /** Say which passages the answer came from. */
  cite?: boolean;
  /** Write `maxTokens` whatever they are: for measurements. */
  ignoreStops?: boolean;
  /** Peak memory of this process, for the record. */
  peakRssBytes: () => number;
  signal?: AbortSignal;
}

export interface AnswerRequest extends Question, MemoryRequest, Pick<ReadOptions, "collectGarbage"> {
  sources: Source[];
  /** False: the document is read before its questions are known, and no policy may ask with them. Default true. */
  questionKnown?: boolean;
  /** Written tokens that stay in memory, under a decode policy that evicts; at least 16. Default 512. */
  decodeBudget?: number;
  /** Write notes along the way and answer with them (`notes.ts`): so many to twice as many, of so many tokens each. */
  notes?: { wanted: number; tokens: number };
  /** Refuse to evict anything. */
  strict: boolean;
}

/**
 * Reads the sources and answers.
 * @throws {BudgetError} when the budget is unusable, or something would be evicted under `full` or `strict`
 * @throws {UsageError} when the model was opened for a policy that needs less of the graph, or the policy needs a question that is not known
 * @throws {InputError} for an empty or unreadable document
 * @throws {InterruptedError} when the signal aborts
 */
export async function* answer(model: LoadedModel, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const policy = parsePolicy(request.policy), { tokenizer } = model;
  if (request.cite) refuseUncited(policy);
  const tail = plainTail(tokenizer, request);
  using memory = await openMemory(model, request, {
    tailTokens: tail.length,
    writing: writingRoom(policy, { ...request, noteTokens: request.notes?.tokens }),
    questionTokens: request.questionKnown === false ? [] : questionTokens(tokenizer, request.instruction),
    opening: request.opening,
    documentBytes: request.sources.reduce((sum, source) => sum + (source.size ?? Infinity), 0),
  });
  const warning = clampWarning(memory);
  if (warning) yield { type: "warning", message: warning };

  const { reader } = memory, notes = request.notes ? new Notes(request.notes.wanted, memory.budget.slots) : null;
  const noting = { tokens: 0, ms: 0 };
  const whileWhole = async (last: boolean) => {
    const to = reader.tokensRead;
    // a document that fits is summarised as a whole
    const single = last && notes?.stretchStart === 0 && reader.compactions === 0 && to <= memory.budget.slots;
    if (notes?.due(to, last) && !single) notes.add(to, await reader.aside(notes.stretchStart, takeNote));
  };
  yield* read(memory, request.sources, { ...request, whileWhole });
  memory.spent.ms -= noting.ms;

  const noted = notes?.distinct() ?? [];
  if (noted.length === 0) {
    yield* respond(memory, request, noting);
    return;
  }
  const whole = noted.map(({ text }) => `- ${text}`).join("\n"), coverage = await reader.coverage(memory.head.length);
  yield { type: "text", text: whole };
  yield { type: "result", record: recordOf(memory, request, { whole, coverage, decoded: noting }) };

  async function takeNote(): Promise<string> {
    const noteStarted = performance.now();
    let text = "", tokens = 0;
    for await (const step of decode(reader, tokenizer, tail, request.notes!.tokens)) {
      throwIfAborted(request.signal);
      text += step.text;
      tokens = step.tokens;
    }
    noting.tokens += tokens;
    noting.ms += performance.now() - noteStarted;
    return tidy(text); // a list item needs no opening
  }
}

/**
 * Answers from what a memory holds, which what is written then follows.
 * @param before what was written while reading
 * @throws {InterruptedError} when the signal aborts
 */
export async function* respond(
  memory: Memory,
  question: Question,
  before = { tokens: 0, ms: 0 },
): AsyncGenerator<AnswerEvent> {
  const { reader, policy, model: { tokenizer }, head, system, budget } = memory, { opening = "" } = question;
  const coverage = await reader.coverage(head.length);
  const started = performance.now(), readBefore = reader.tokensRead, { spent } = memory;
  const document = { first: head.length, end: readBefore };
  if (question.trace) await follow(question.trace, memory, document);
  let prefill = spent, decoded = before, whole = opening, finish: AnswerRecord["finish"] = "stop";
  const { tokens, passages } = await recalledTail(
    reader,
    tokenizer,
    { ...question, system },
    head.length,
    memory.places,
  );
  if (opening) yield { type: "text", text: opening };
  for await (const step of decode(reader, tokenizer, tokens, question.maxTokens, question.ignoreStops)) {
    throwIfAborted(question.signal);
    const ms = performance.now() - started;
    if (step.tokens === 1) prefill = { tokens: spent.tokens + reader.tokensRead - readBefore, ms: spent.ms + ms };
    if (step.text) {
      whole += step.text;
      yield { type: "text", text: step.text };
    }
    yield {
      type: "progress",
      phase: "decode",
      done: step.tokens,
      liveSlots: Math.round(reader.liveSlots),
      budgetSlots: budget.slots,
    };
    finish = step.finish ?? finish;
    decoded = { tokens: before.tokens + step.tokens, ms: before.ms + spent.ms + ms - prefill.ms };
  }
  const cited = question.cite || question.trace && needs(policy, "text")
    ? await citations(reader, tokenizer, { instruction: question.instruction, answer: whole }, document, memory.places)
    : null;
  yield {
    type: "result",
    record: {
      ...recordOf(memory, question, { whole, finish, coverage, passages, prefill, decoded }),
      ...cited ? { citations: cited } : {},
    },
  };
}

/** What is in memory when the question comes. */
async function follow(trace: Trace, { reader, model, places }: Memory, document: DocumentPlace): Promise<void> {
  const text = trace.tokens.length === 0 ? reader.text : null;
  Object.assign(trace, {
    kept: await reader.keptTokens(),
    layers: cacheShape(model.config).layers,
    document,
    places,
    known: text && { sources: text.sources.slice(0, text.length), tokens: text.tokens.slice(0, text.length) },
  });
}

/** @throws {UsageError} under a policy that remembers no text: it cannot say what an answer came from */
export function refuseUncited(policy: Policy): void {
  if (needs(policy, "text")) return;
  throw new UsageError(
    `--cite needs a policy that remembers text, and ${policy.name} does not: ${defaultPolicies.ask} and ${defaultPolicies.agnostic} do, ` +
      "and any with recall=quote",
  );
}

function recordOf(
  memory: Memory,
  { command, peakRssBytes }: Question,
  { whole, finish = "stop", coverage, passages = [], prefill = memory.spent, decoded }:
    & { whole: string; coverage: number[]; decoded: Memory["spent"] }
    & Partial<{
      finish: AnswerRecord["finish"];
      passages: AnswerRecord["passages"];
      prefill: Memory["spent"];
    }>,
): AnswerRecord {
  const { model, reader, writing } = memory, { kv, ...about } = memoryRecord(memory);
  return {
    schema: "palimpsest.answer/1",
    command,
    answer: whole.trim(),
    finish,
    ...about,
    kv: {
      ...kv,
      widenedBytes: reader.widenedBytes,
      decodeBudgetSlots: writing.budget === Infinity ? null : writing.budget,
      evictedWrittenSlots: reader.evictedWritten,
      coverage,
    },
    passages,
    timing: {
      loadMs: model.loadMs,
      prefillTokens: prefill.tokens,
      prefillMs: prefill.ms,
      policyMs: reader.policyMs,
      decodeTokens: decoded.tokens,
      decodeMs: decoded.ms,
      peakRssBytes: peakRssBytes(),
    },
  };
}
