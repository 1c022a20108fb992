/**
 * What everybody does with a document that does not fit: each part is answered on its own, with nothing evicted, and then the answers together. No part knows of
 * another, and what only the whole says is lost. A baseline for what `stream` keeps.
 */
import type { AnswerRequest } from "./answer_request.ts";
import { DEFAULT_BUDGET } from "./budget.ts";
import { citedDocuments } from "./cite.ts";
import { writingRoom } from "./decode/room.ts";
import { decode } from "./decode/write.ts";
import { throwIfAborted } from "./errors.ts";
import { clampWarning, type Memory, openMemory } from "./memory.ts";
import type { LoadedModel } from "./model.ts";
import { tidy } from "./notes.ts";
import { parsePolicy } from "./policies.ts";
import { promptTokens } from "./read.ts";
import type { AnswerEvent, SourceRecord } from "./record.ts";
import { answerRecord } from "./respond.ts";
import { plainTail } from "./tail.ts";
import { chunks } from "./text/chunks.ts";
import { Places } from "./text/places.ts";
import type { Tokenizer } from "./text/tokenizer.ts";

/** Nothing of a part is evicted. */
export const MAP_POLICY = "full";
/** Longest answer about a part: a sentence or two. */
const MAP_TOKENS = 64;

/** Tokens that were forwarded or written so far, and the time for them. */
interface Spent {
  read: { tokens: number; ms: number };
  decoded: { tokens: number; ms: number };
}

/**
 * @throws {BudgetError} when the budget is unusable
 * @throws {InputError} for an empty or unreadable document
 * @throws {InterruptedError} when the signal aborts
 */
export async function* mapReduce(model: LoadedModel, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const { tokenizer } = model, tail = plainTail(tokenizer, request), warnings: string[] = [];
  const open = () =>
    openMemory(model, { ...request, policy: MAP_POLICY, budget: request.budget ?? { slots: DEFAULT_BUDGET } }, {
      tailTokens: tail.length,
      writing: writingRoom(parsePolicy(MAP_POLICY), request),
      questionTokens: [],
      opening: request.opening,
      documentBytes: Infinity,
    });
  const spent: Spent = { read: { tokens: 0, ms: 0 }, decoded: { tokens: 0, ms: 0 } };
  const sources: SourceRecord[] = [], document = { model, head: [], sources, places: new Places() };
  let memory = await open();
  try {
    const warning = clampWarning(memory);
    if (warning) yield { type: "warning", message: warning };
    const size = memory.budget.slots - memory.head.length;
    let tokens: AsyncIterable<number[]> = promptTokens(document, request.sources, 0, warnings);
    for (let parts = 1; true;) {
      const answers: string[] = [];
      for await (const { chunk, last } of chunks(tokens, size)) {
        for (const message of warnings.splice(0)) yield { type: "warning", message };
        const isWhole = last && answers.length === 0;
        const most = isWhole ? request.maxTokens : Math.min(MAP_TOKENS, size >> 2);
        const one = yield* answerPart(memory, chunk, { tail, most, isWhole, request, spent });
        if (isWhole) {
          const facts = {
            strategy: "map-reduce" as const,
            ...one,
            coverage: EVERYWHERE,
            prefill: spent.read,
            decoded: spent.decoded,
          };
          const record = answerRecord({ ...memory, sources }, request, facts);
          const asked = { instruction: request.instruction, answer: one.whole };
          const citations = request.cite ? await citedDocuments(memory, asked, request.sources, request.signal) : [];
          yield { type: "result", record: { ...record, parts, ...request.cite ? { citations } : {} } };
          return;
        }
        answers.push(tidy(one.whole));
        parts++;
        memory[Symbol.dispose]();
        memory = await open();
        request.collectGarbage?.();
      }
      tokens = tokensOf(answers, tokenizer, size >> 1);
    }
  } finally {
    memory[Symbol.dispose]();
  }
}

/** Every part is read whole. */
const EVERYWHERE = Array<number>(10).fill(0.1);

/** What is asked of a part. */
interface PartRequest {
  tail: number[];
  /** Tokens of the answer. */
  most: number;
  /** There is no other part: this is the answer. */
  isWhole: boolean;
  request: AnswerRequest;
  /** Goes on with this part. */
  spent: Spent;
}

/** Reads a part into an empty memory and answers from it. */
async function* answerPart(
  memory: Memory,
  part: number[],
  { tail, most, isWhole, request: { opening = "", signal }, spent }: PartRequest,
): AsyncGenerator<AnswerEvent, { whole: string; finish: "stop" | "length" }> {
  const { reader, head, chunkTokens, budget, model: { tokenizer } } = memory, all = [...head, ...part];
  const { read, decoded } = spent, readBefore = read.tokens, writtenBefore = decoded.tokens;
  const progress = (phase: "prefill" | "decode", done: number): AnswerEvent => ({
    type: "progress",
    phase,
    done,
    liveSlots: Math.round(reader.liveSlots),
    budgetSlots: budget.slots,
  });
  let since = performance.now(), whole = opening, finish: "stop" | "length" = "stop";
  const timed = (what: { ms: number }) => {
    const now = performance.now();
    what.ms += now - since;
    since = now;
  };
  for (let from = 0; from < all.length; from += chunkTokens) {
    throwIfAborted(signal);
    await reader.read(all.slice(from, from + chunkTokens));
    read.tokens = readBefore + reader.tokensRead;
    yield progress("prefill", read.tokens);
  }
  if (isWhole && opening) yield { type: "text", text: opening };
  for await (const step of decode(reader, tokenizer, tail, most)) {
    throwIfAborted(signal);
    timed(step.tokens === 1 ? read : decoded);
    read.tokens = readBefore + all.length + tail.length;
    decoded.tokens = writtenBefore + step.tokens;
    whole += step.text;
    finish = step.finish ?? finish;
    if (isWhole && step.text) yield { type: "text", text: step.text };
    if (isWhole) yield progress("decode", step.tokens);
  }
  return { whole, finish };
}

/** The answers, as the document of the next round. @param most tokens of each: half a part, so that every round has half as many parts at most */
async function* tokensOf(answers: readonly string[], tokenizer: Tokenizer, most: number): AsyncGenerator<number[]> {
  // unnumbered: asked for a number, a small model takes that of a part
  for (const text of answers) yield tokenizer.encode(`${text}\n\n`, { control: false }).slice(0, most);
}
