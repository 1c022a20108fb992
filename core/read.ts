/** Reading: documents go in, one chunk at a time, and the memory stays as large as it was. bytes → text → tokens → chunks → forward → … → compact. */
import { BudgetError, InterruptedError } from "./errors.ts";
import type { Memory } from "./memory.ts";
import { defaultPolicies } from "./policies.ts";
import type { AnswerEvent, SourceRecord } from "./record.ts";
import { chunks } from "./text/chunks.ts";
import { readText, type Source } from "./text/document.ts";

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
}

/** Chunks between two requests to collect garbage: often enough for a flat peak, seldom enough to cost nothing. */
const COLLECT_EVERY = 2;

/**
 * Reads documents into a memory, behind what it holds.
 * @throws {BudgetError} when something would be evicted under `full` or `strict`
 * @throws {InputError} for an empty or unreadable document
 * @throws {InterruptedError} when the signal aborts
 */
export async function* read(memory: Memory, sources: Source[], options: ReadOptions = {}): AsyncGenerator<AnswerEvent> {
  const { reader, budget } = memory, warnings: string[] = [], before = reader.tokensRead;
  let chunksRead = 0;
  const told = function* (): Generator<AnswerEvent> {
    while (warnings.length > 0) yield { type: "warning", message: warnings.shift()! };
  };
  const spentBefore = { ...memory.spent }, started = performance.now();
  for await (const { chunk, last } of chunks(promptTokens(memory, sources, warnings), memory.chunkTokens)) {
    throwIfAborted(options.signal);
    refuseEviction(memory, options.strict ?? false, chunk.length);
    await reader.read(chunk, () => options.whileWhole?.(last) ?? Promise.resolve());
    memory.spent.tokens = spentBefore.tokens + reader.tokensRead - before;
    memory.spent.ms = spentBefore.ms + performance.now() - started;
    yield* told();
    if (++chunksRead % COLLECT_EVERY === 0) options.collectGarbage?.();
    yield {
      type: "progress",
      phase: "prefill",
      done: reader.tokensRead,
      liveSlots: Math.round(reader.liveSlots),
      budgetSlots: budget.slots,
    };
  }
  yield* told();
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError("Interrupted");
}

/** bytes → text → tokens of the head and all documents, as they arrive. */
async function* promptTokens(memory: Memory, sources: Source[], warnings: string[]): AsyncGenerator<number[]> {
  const { model: { tokenizer }, head, sources: records } = memory;
  if (memory.reader.tokensRead === 0) yield [...head];
  const several = records.length + sources.length > 1;
  for (const source of sources) {
    const document = readText(source, (message) => warnings.push(message));
    const record: SourceRecord = { name: source.name, type: document.type, bytes: 0, tokens: 0 };
    records.push(record);
    const stream = tokenizer.stream();
    const label = several ? `${records.length > 1 ? "\n\n" : ""}[${source.name}]\n\n` : "";
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
