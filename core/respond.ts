/** From a memory to an answer: passages are read again, the question is forwarded, the answer written and its passages named. */
import { citations, CITED } from "./cite.ts";
import { decode } from "./decode/write.ts";
import { cacheShape } from "./engine/layers.ts";
import { throwIfAborted, UsageError } from "./errors.ts";
import { type Memory, memoryRecord } from "./memory.ts";
import { defaultPolicies } from "./policies.ts";
import { needs, type Policy } from "./policy.ts";
import type { DocumentPlace } from "./reading.ts";
import type { AnswerEvent, AnswerRecord, RecalledPassage } from "./record.ts";
import type { Trace } from "./report/trace.ts";
import { recalledTail, type Tail, tailWith } from "./tail.ts";
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
  /** What was read: passages are looked for in those documents that can be read again, too. */
  documents?: readonly Source[] | undefined;
  /** Answer twice, the second time with the passages before the question that the first answer came from. */
  verify?: boolean;
  /** Write `maxTokens` whatever they are: for measurements. */
  ignoreStops?: boolean;
  /** Peak memory of this process, for the record. */
  peakRssBytes: () => number;
  signal?: AbortSignal;
}

/**
 * Answers from what a memory holds, which what is written then follows.
 * @param before what was written while reading
 * @throws {UsageError} when it cannot be told what an answer came from, and shall be
 * @throws {InterruptedError} when the signal aborts
 */
export async function* respond(
  memory: Memory,
  question: Question,
  before = { tokens: 0, ms: 0 },
): AsyncGenerator<AnswerEvent> {
  const { reader, policy, model: { tokenizer }, head, system, budget } = memory, { opening = "" } = question;
  if (question.cite) refuseUncited(policy, question.documents);
  const coverage = await reader.coverage(head.length);
  const started = performance.now(), readBefore = reader.tokensRead, { spent } = memory;
  const document = { first: head.length, end: readBefore };
  if (question.trace) await follow(question.trace, memory, document);
  const asked = { ...question, system };
  let prefill = spent, decoded = before, whole = opening, finish: AnswerRecord["finish"] = "stop";
  let tail = await recalledTail(reader, tokenizer, asked, head.length, memory.places), draft: string | null = null;
  const cite = (answer: string) =>
    citations(memory, { instruction: question.instruction, answer }, document, question.documents, question.signal);
  // while nothing was evicted, there is nothing to look up
  if (question.verify && reader.compactions > 0) {
    yield { type: "status", message: "writing a first answer" };
    draft = await reader.aside(0, () => written(memory, tail, question));
    yield { type: "status", message: "looking it up" };
    tail = tailWith(tokenizer, asked, (await cite(draft)).reverse(), VERIFY_TOKENS);
  }
  if (opening) yield { type: "text", text: opening };
  for await (const step of decode(reader, tokenizer, tail.tokens, question.maxTokens, question.ignoreStops)) {
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
  let cited: RecalledPassage[] | null = null;
  if (question.cite || question.trace && needs(policy, "text")) {
    if (draft === null) {
      yield { type: "status", message: "looking for where it came from" };
      cited = await cite(whole);
      // a second answer comes from what was looked up for it
    } else cited = tail.passages.toReversed();
  }
  const { passages } = tail, strategy = question.verify ? "stream+verify" : "stream";
  yield {
    type: "result",
    record: {
      ...answerRecord(memory, question, { strategy, whole, finish, coverage, passages, prefill, decoded }),
      ...draft === null ? {} : { draft },
      ...cited ? { citations: cited } : {},
    },
  };
}

/** Tokens that the passages of a second answer may take: three of them, in most scripts. */
export const VERIFY_TOKENS = CITED * 176;
/** Tokens of a first answer: enough to name what it is about. */
const DRAFT_TOKENS = 64;

/** What a memory answers, to be forgotten again. */
async function written({ reader, model, writing }: Memory, { tokens }: Tail, question: Question): Promise<string> {
  let text = question.opening ?? "";
  const most = Math.min(DRAFT_TOKENS, question.maxTokens, writing.slots);
  for await (const step of decode(reader, model.tokenizer, tokens, most)) {
    throwIfAborted(question.signal);
    text += step.text;
  }
  return text.trim();
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

/** What is told of an answer in the end. */
export function answerRecord(
  memory: Memory,
  { command, peakRssBytes }: Question,
  { strategy = "stream", whole, finish = "stop", coverage, passages = [], prefill = memory.spent, decoded }:
    & { whole: string; coverage: number[]; decoded: Memory["spent"] }
    & Partial<Pick<AnswerRecord, "strategy" | "finish" | "passages">>
    & { prefill?: Memory["spent"] },
): AnswerRecord {
  const { model, reader, writing } = memory, { kv, ...about } = memoryRecord(memory);
  return {
    schema: "palimpsest.answer/1",
    command,
    strategy,
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

/**
 * @param documents what was read
 * @throws {UsageError} under a policy that remembers no text, of documents that cannot be read again: nobody can say what an answer came from
 */
export function refuseUncited(policy: Policy, documents: readonly Source[] = []): void {
  if (needs(policy, "text") || documents.some(({ repeatable }) => repeatable)) return;
  throw new UsageError(
    `--cite of what cannot be read again needs a policy that remembers text, and ${policy.name} does not: ` +
      `${defaultPolicies.ask} and ${defaultPolicies.agnostic} do, and any with recall=quote; or name files`,
  );
}
