/** Reading: documents go in, one chunk at a time, and the memory stays as large as it was. bytes → text → tokens → chunks → forward → … → compact. */
import { BudgetError, InputError, throwIfAborted } from "./errors.ts";
import type { Memory, Progress } from "./memory.ts";
import type { LoadedModel } from "./model.ts";
import { sha256 } from "./pack/sha256.ts";
import { defaultPolicies } from "./policies.ts";
import type { AnswerEvent, SourceRecord } from "./record.ts";
import { chunks } from "./text/chunks.ts";
import type { Trace } from "./report/trace.ts";
import { readText, type Source } from "./text/document.ts";
import { pieceTokens } from "./text/piece_tokens.ts";

/** Hashes bytes as they come. */
export interface Hash {
  update(bytes: Uint8Array): void;
  hex(): string;
}

export interface ReadOptions {
  /** Refuse to evict anything. */
  strict?: boolean;
  /** Called in every chunk while all of its slots are there still: notes are taken then. @param last no chunk follows */
  whileWhole?: (last: boolean) => Promise<void>;
  /**
   * Frees memory that is no longer used, where the runtime lets itself be asked. Every pass leaves new rows behind in buffers of its own; a runtime that
   * collects them when it likes lets the peak creep up with the document.
   */
  collectGarbage?: (() => void) | undefined;
  signal?: AbortSignal | undefined;
  /** What a report will tell of it. */
  trace?: Trace | undefined;
  /** SHA-256 of every document, for its record. */
  hash?: () => Hash;
}

/** Chunks between two requests to collect garbage: often enough for a flat peak, seldom enough to cost nothing. */
const COLLECT_EVERY = 2;

/**
 * Reads documents into a memory, behind what it holds. Where reading was interrupted (`progress`), it goes on there: the documents are tokenised from their
 * start again, and what was read is compared by its digest instead of being forwarded.
 * @throws {BudgetError} when something would be evicted under `full` or `strict`
 * @throws {InputError} for an empty or unreadable document, or other documents than those whose reading was interrupted
 * @throws {InterruptedError} when the signal aborts
 */
export async function* read(memory: Memory, sources: Source[], options: ReadOptions = {}): AsyncGenerator<AnswerEvent> {
  const { reader, budget } = memory, warnings: string[] = [], before = reader.tokensRead;
  const since: Progress = memory.progress ??
    { chunks: 0, digest: "", tokensBefore: before, sourcesBefore: memory.sources.length };
  memory.sources.length = since.sourcesBefore;
  memory.places.cut(since.tokensBefore);
  memory.progress = since;
  let chunksRead = 0, digest = "";
  const told = function* (): Generator<AnswerEvent> {
    while (warnings.length > 0) yield { type: "warning", message: warnings.shift()! };
  };
  const spentBefore = { ...memory.spent }, started = performance.now();
  const tokens = promptTokens(memory, sources, since.tokensBefore, warnings, options.hash);
  for await (const { chunk, last } of chunks(tokens, memory.chunkTokens)) {
    throwIfAborted(options.signal);
    digest = await sha256(new TextEncoder().encode(`${digest} ${chunk.join(" ")}`));
    if (++chunksRead <= since.chunks) {
      if (chunksRead === since.chunks && digest !== since.digest) throw otherDocuments(sources);
      continue;
    }
    refuseEviction(memory, options.strict ?? false, chunk.length);
    const liveBefore = reader.liveSlots;
    await reader.read(chunk, () => options.whileWhole?.(last) ?? Promise.resolve());
    memory.spent.tokens = spentBefore.tokens + reader.tokensRead - before;
    memory.spent.ms = spentBefore.ms + performance.now() - started;
    memory.progress = { ...since, chunks: chunksRead, digest };
    options.trace?.tokens.push(...chunk);
    options.trace?.chunks.push({
      tokens: reader.tokensRead,
      before: liveBefore + chunk.length,
      after: reader.liveSlots,
    });
    yield* told();
    if (chunksRead % COLLECT_EVERY === 0) options.collectGarbage?.();
    yield {
      type: "progress",
      phase: "prefill",
      done: reader.tokensRead,
      liveSlots: Math.round(reader.liveSlots),
      budgetSlots: budget.slots,
    };
  }
  if (chunksRead < since.chunks) throw otherDocuments(sources);
  memory.progress = null;
  yield* told();
}

const otherDocuments = (sources: Source[]) =>
  new InputError(
    `${
      sources.map(({ name }) => name).join(", ")
    }: not what was being read when reading was interrupted; the same documents in the same order work, ` +
      "or --fresh, which reads from the start",
  );

/**
 * bytes → text → tokens of the head and all documents, as they arrive.
 * @param before tokens that the memory holds before them
 */
export async function* promptTokens(
  memory: Pick<Memory, "head" | "sources" | "places"> & { model: Pick<LoadedModel, "tokenizer"> },
  sources: Source[],
  before: number,
  warnings: string[],
  hash?: ReadOptions["hash"],
): AsyncGenerator<number[]> {
  const { model: { tokenizer }, head, sources: records, places } = memory;
  let at = before;
  const counted = (tokens: number[]): number[] => {
    at += tokens.length;
    return tokens;
  };
  if (before === 0) yield counted([...head]);
  const several = records.length + sources.length > 1;
  for (const source of sources) {
    const hashed = hash?.();
    const chunks = hashed ? watched(source.chunks, (bytes) => hashed.update(bytes)) : source.chunks;
    const document = readText({ ...source, chunks }, (message) => warnings.push(message));
    const record: SourceRecord = { name: source.name, type: document.type, bytes: 0, tokens: 0 };
    records.push(record);
    places.mark(at, { source: source.name });
    const stream = tokenizer.stream();
    const label = several ? `${records.length > 1 ? "\n\n" : ""}[${source.name}]\n\n` : "";
    if (label) yield counted(stream.push(label));
    const first = at;
    for await (const piece of document) {
      const { before, place, tokens } = pieceTokens(stream, piece);
      yield counted(before);
      if (place) places.mark(at, place);
      yield counted(tokens);
    }
    yield counted(stream.finish());
    record.type = document.type;
    record.tokens = at - first;
    record.bytes = document.bytes;
    if (document.pages !== undefined) record.pages = document.pages;
    if (hashed) record.sha256 = hashed.hex();
  }
}

async function* watched(
  pieces: AsyncIterable<Uint8Array>,
  look: (piece: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    look(piece);
    yield piece;
  }
}

/** `full` and `--strict` promise that nothing is evicted: say what does not fit before it is forwarded. */
function refuseEviction({ policy, reader, budget: { slots } }: Memory, strict: boolean, chunk: number): void {
  if (policy.evicts && !strict) return;
  const tokens = reader.tokensRead + chunk;
  if (tokens <= slots) return;
  throw new BudgetError(
    `The document does not fit: after ${tokens} tokens it is longer than the budget of ${slots} slots and ` +
      (strict ? "--strict forbids eviction" : `policy "full" evicts nothing`) +
      `; use ${strict ? `no --strict` : `--policy ${defaultPolicies.ask}`}, or a larger --kv-budget`,
  );
}
