/** THE STORY: documents go in, one chunk at a time, the memory stays as large as it was, and an answer comes out. */
import { type BudgetRequest, defaultChunk, resolveBudget } from "./budget.ts";
import { chunks } from "./text/chunks.ts";
import { decode } from "./decode/write.ts";
import { readText, type Source } from "./text/document.ts";
import { writingRoom } from "./decode/room.ts";
import { BudgetError, InterruptedError } from "./errors.ts";
import type { LoadedModel } from "./model.ts";
import { Notes, tidy } from "./notes.ts";
import { defaultPolicies, parsePolicy } from "./policies.ts";
import { type Policy, policyRecord } from "./policy.ts";
import { renderPrompt } from "./text/prompt.ts";
import type { Reading } from "./reading.ts";
import { answerTokens, plainTail, questionTokens, recalledTail } from "./tail.ts";
import type { AnswerEvent, AnswerRecord, Positions, SourceRecord } from "./record.ts";

export interface AnswerRequest {
  command: "ask" | "summarize";
  sources: Source[];
  /** The question, or what to write. */
  instruction: string;
  system?: string;
  /** First words of the answer, which the model goes on from: they keep a small model to the matter. */
  opening?: string;
  /** Must ask the graph for no more than the policy that the model was opened with. */
  policy: string;
  budget: BudgetRequest;
  /** Tokens per forward pass. Default: 512, on a GPU more (`defaultChunk`). */
  chunkTokens?: number;
  positions: "auto" | Positions;
  maxTokens: number;
  /** False: the document is read before its questions are known, and no policy may ask with them. Default true. */
  questionKnown?: boolean;
  /** Written tokens that stay in memory, under a decode policy that evicts; at least 16. Default 512. */
  decodeBudget?: number;
  /** Write notes along the way and answer with them (`notes.ts`): so many to twice as many, of so many tokens each. */
  notes?: { wanted: number; tokens: number };
  /** Write `maxTokens` whatever they are: for measurements. */
  ignoreStops?: boolean;
  /** Refuse to evict anything. */
  strict: boolean;
  /** Most bytes that the cache may take. */
  availableBytes: number;
  /** Peak memory of this process, for the record. */
  peakRssBytes: () => number;
  /**
   * Frees memory that is no longer used, where the runtime lets itself be asked. Every pass leaves new rows behind in buffers of its own; a runtime that
   * collects them when it likes lets the peak creep up with the document.
   */
  collectGarbage?: () => void;
  signal?: AbortSignal;
}

/** Chunks between two requests to collect garbage: often enough for a flat peak, seldom enough to cost nothing. */
const COLLECT_EVERY = 2;

/**
 * Reads the sources and answers.
 * @throws {BudgetError} when the budget is unusable, or something would be evicted under `full` or `strict`
 * @throws {UsageError} when the model was opened for a policy that needs less of the graph, or the policy needs a question that is not known
 * @throws {InputError} for an empty or unreadable document
 * @throws {InterruptedError} when the signal aborts
 */
export async function* answer(model: LoadedModel, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const { tokenizer, config } = model;
  const policy = parsePolicy(request.policy);
  const chunkTokens = request.chunkTokens ?? defaultChunk(model.device.kind, request.budget, config);
  const warnings: string[] = [];

  const prompt = renderPrompt(tokenizer, request);
  const head = tokenizer.encode(prompt.head, { control: true });
  const opening = request.opening ?? "";
  const tail = plainTail(tokenizer, request);
  const writing = writingRoom(policy, { ...request, noteTokens: request.notes?.tokens });
  const reserve = tail.length + policy.recall.tokens + writing.slots;
  const documentBytes = request.sources.reduce((sum, source) => sum + (source.size ?? Infinity), 0);
  const budget = resolveBudget({
    config,
    policy,
    request: request.budget,
    chunkTokens,
    reserve,
    decodeBudget: writing.budget,
    unboundedPositions: request.positions === "original",
    availableBytes: request.availableBytes,
    documentTokens: documentBytes + head.length,
    allocation: await model.allocation(policy, {
      chunkTokens,
      reserve,
      decodeBudget: writing.budget,
    }),
  });
  if (budget.clampedFrom !== null) {
    yield {
      type: "warning",
      message:
        `A budget of ${budget.clampedFrom} slots is more than the ${config.trainedPositions} positions of ${model.name} allow: ` +
        `reading with ${budget.slots}`,
    };
  }
  using reader = await model.openReading(policy, {
    budget,
    chunkTokens,
    reserve,
    positions: request.positions,
    questionTokens: request.questionKnown === false ? [] : questionTokens(tokenizer, request.instruction),
    answerTokens: answerTokens(tokenizer, request),
    headTokens: head.length,
    tokenizer,
    decodeBudget: writing.budget,
  });

  const sources: SourceRecord[] = [];
  const passages: AnswerRecord["passages"] = [];
  const notes = request.notes ? new Notes(request.notes.wanted, budget.slots) : null;
  let decoded = 0, chunksRead = 0, decodeMs = 0, finish: AnswerRecord["finish"] = "stop", whole = "";
  const started = performance.now();

  for await (const { chunk, last } of chunks(promptTokens(), chunkTokens)) {
    throwIfAborted(request.signal);
    refuseEviction(policy, request.strict, reader, chunk.length, budget.slots);
    await reader.read(chunk, async () => {
      const to = reader.tokensRead;
      // a document that fits is summarised as a whole
      const single = last && notes?.stretchStart === 0 && reader.compactions === 0 && to <= budget.slots;
      if (notes?.due(to, last) && !single) notes.add(to, await reader.aside(notes.stretchStart, takeNote));
    });
    while (warnings.length > 0) yield { type: "warning", message: warnings.shift()! };
    if (++chunksRead % COLLECT_EVERY === 0) request.collectGarbage?.();
    yield progress("prefill", reader.tokensRead);
  }
  while (warnings.length > 0) yield { type: "warning", message: warnings.shift()! };
  const coverage = await reader.coverage(head.length);
  let prefillMs = performance.now() - started - decodeMs, prefillTokens = reader.tokensRead;

  const noted = notes?.distinct() ?? [];
  if (noted.length > 0) {
    whole = noted.map(({ text }) => `- ${text}`).join("\n");
    yield { type: "text", text: whole };
  } else {
    const { tokens, passages: recalled } = await recalledTail(reader, tokenizer, request, head.length);
    passages.push(...recalled);
    if (opening) {
      whole = opening;
      yield { type: "text", text: opening };
    }
    for await (const step of decode(reader, tokenizer, tokens, request.maxTokens, request.ignoreStops)) {
      throwIfAborted(request.signal);
      if (step.tokens === 1) {
        prefillMs = performance.now() - started - decodeMs;
        prefillTokens = reader.tokensRead;
      }
      if (step.text) {
        whole += step.text;
        yield { type: "text", text: step.text };
      }
      yield progress("decode", step.tokens);
      finish = step.finish ?? finish;
      decoded = step.tokens;
    }
    decodeMs = performance.now() - started - prefillMs;
  }

  yield {
    type: "result",
    record: {
      schema: "palimpsest.answer/1",
      command: request.command,
      answer: whole.trim(),
      finish,
      model: {
        name: model.name,
        architecture: config.architecture,
        sha256: model.sha256,
        trainedPositions: config.trainedPositions,
      },
      device: model.device,
      policy: policyRecord(policy),
      document: { sources, tokens: sources.reduce((sum, source) => sum + source.tokens, 0) },
      kv: {
        budgetSlots: budget.slots,
        capacitySlots: budget.capacity,
        bytes: reader.kvBytes,
        type: reader.kvType,
        widenedBytes: reader.widenedBytes,
        compactions: reader.compactions,
        peakLiveSlots: reader.peakLiveSlots,
        evictedSlots: reader.evicted,
        decodeBudgetSlots: writing.budget === Infinity ? null : writing.budget,
        evictedWrittenSlots: reader.evictedWritten,
        positions: reader.positions,
        coverage,
      },
      passages,
      timing: {
        loadMs: model.loadMs,
        prefillTokens,
        prefillMs,
        policyMs: reader.policyMs,
        decodeTokens: decoded,
        decodeMs,
        peakRssBytes: request.peakRssBytes(),
      },
    },
  };

  /** bytes → text → tokens of the head and all documents, as they arrive. */
  async function* promptTokens(): AsyncGenerator<number[]> {
    yield head;
    for (const source of request.sources) {
      const document = readText(source, (message) => warnings.push(message));
      const record: SourceRecord = { name: source.name, type: document.type, bytes: 0, tokens: 0 };
      sources.push(record);
      const stream = tokenizer.stream();
      const label = request.sources.length > 1 ? `${sources.length > 1 ? "\n\n" : ""}[${source.name}]\n\n` : "";
      if (label) yield stream.push(label);
      for await (const piece of document) {
        const tokens = stream.push(piece);
        record.tokens += tokens.length;
        yield tokens;
      }
      const tokens = stream.finish();
      record.tokens += tokens.length;
      record.bytes = document.bytes;
      yield tokens;
    }
  }

  async function takeNote(): Promise<string> {
    const noteStarted = performance.now();
    let text = "", tokens = 0;
    for await (const step of decode(reader, tokenizer, tail, request.notes!.tokens)) {
      throwIfAborted(request.signal);
      text += step.text;
      tokens = step.tokens;
    }
    decoded += tokens;
    decodeMs += performance.now() - noteStarted;
    return tidy(text); // a list item needs no opening
  }

  function progress(phase: "prefill" | "decode", done: number): AnswerEvent {
    return { type: "progress", phase, done, liveSlots: Math.round(reader.liveSlots), budgetSlots: budget.slots };
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError("Interrupted");
}

/** `full` and `--strict` promise that nothing is evicted: say what does not fit before it is forwarded. */
function refuseEviction(policy: Policy, strict: boolean, reader: Reading, chunk: number, slots: number): void {
  if (policy.evicts && !strict) return;
  const tokens = reader.tokensRead + chunk;
  if (tokens <= slots) return;
  throw new BudgetError(
    `The document does not fit: after ${tokens} tokens it is longer than the budget of ${slots} slots and ` +
      (strict ? "--strict forbids eviction" : `policy "full" evicts nothing`) +
      `; use ${strict ? `no --strict` : `--policy ${defaultPolicies.ask}`}, or a larger --kv-budget`,
  );
}
