/**
 * One reading: the state of a prompt that flows through the cache. `read` forwards a chunk and compacts when live slots exceed the budget; `write`
 * forwards the question and what is generated. This is the pipeline from forward to compact.
 */
import type { Budget } from "./budget.ts";
import { KvCache } from "./cache.ts";
import { compact } from "./compact.ts";
import type { Engine } from "./engine/engine.ts";
import { type Policy, RECENT, type SelectContext, SINKS } from "./policy.ts";
import type { Positions } from "./record.ts";
import { Rope } from "./rope.ts";

export interface ReaderOptions {
  budget: Budget;
  chunkTokens: number;
  /** Slots kept free for question and answer. */
  reserve: number;
  positions: "auto" | Positions;
  /** Tokens that the `question` probe forwards. */
  questionTokens: number[];
}

export class Reader {
  readonly cache: KvCache;
  /** Tokens forwarded so far, probes not counted. */
  tokensRead = 0;
  nextPosition = 0;
  positions: Positions = "original";
  compactions = 0;
  /** Slots evicted so far, per head on average. */
  evicted = 0;
  /** Milliseconds for all that `full` would not do. */
  policyMs = 0;
  private readonly rope: Rope;

  constructor(readonly engine: Engine, readonly policy: Policy, readonly options: ReaderOptions) {
    this.cache = new KvCache(engine.config, options.budget.capacity);
    this.rope = new Rope(engine.config);
    if (options.positions === "compact") this.positions = "compact";
  }

  /**
   * Forwards one chunk; if the budget is then exceeded, probes, selects and compacts.
   * @param whileWhole called in between, when the chunk's slots are all there still
   */
  async read(tokens: number[], whileWhole?: () => Promise<void>): Promise<void> {
    const { engine, cache, policy, options } = this;
    const due = policy.evicts && cache.meanLive + tokens.length > options.budget.slots;
    const scoreRows = due ? Math.min(policy.probe.windowRows, tokens.length) : 0;
    const chunk = await engine.pass(cache, { tokens, firstPosition: this.nextPosition, scoreRows });
    cache.append(chunk.keys, chunk.values, tokens.length, this.tokensRead, this.nextPosition);
    this.tokensRead += tokens.length;
    this.nextPosition += tokens.length;
    await whileWhole?.();
    if (!due) return;

    const started = performance.now();
    const mass = await policy.probe.look({
      engine,
      cache,
      chunk,
      questionTokens: options.questionTokens,
      nextPosition: this.nextPosition,
    });
    const scores = policy.aggregate.pool(mass);
    const quotas = policy.allocate.quotas(scores, options.budget.slots);
    const keep = scores.map((row, head) => policy.select.keep(row, this.selection(head, quotas[head]!)));
    policy.compensate.apply(cache, keep, scores);
    const before = cache.meanLive;
    // the trained positions end before the next chunk and the answer would: from here on positions are compact
    const { chunkTokens, reserve } = options, trained = engine.config.trainedPositions;
    if (options.positions === "auto" && this.nextPosition + chunkTokens + reserve > trained) this.positions = "compact";
    this.nextPosition = compact(cache, keep, this.positions, this.rope, this.nextPosition);
    this.compactions++;
    this.evicted += before - cache.meanLive;
    this.policyMs += performance.now() - started;
    if (cache.meanLive > options.budget.slots) {
      throw new Error(`Policy ${policy.name} kept ${cache.meanLive} slots of a budget of ${options.budget.slots}`);
    }
  }

  /** Share of all live slots in each tenth of what was read from token `first` on. */
  coverage(first: number): number[] {
    const { cache } = this, tenths = Array<number>(10).fill(0), length = this.tokensRead - first;
    let counted = 0;
    for (let head = 0; head < cache.heads; head++) {
      const start = cache.start[head]!;
      for (let slot = start; slot < start + cache.live[head]!; slot++) {
        const token = cache.source[slot]! - first;
        if (token < 0) continue;
        tenths[Math.floor(token * 10 / length)]!++;
        counted++;
      }
    }
    return tenths.map((slots) => slots / Math.max(1, counted));
  }

  /**
   * Lets `work` write and decode over what was read from token `firstToken` of the prompt on (and the sinks), then forgets what it wrote: a question
   * on the side, in the room that stands free between two chunks.
   */
  async aside<T>(firstToken: number, work: () => Promise<T>): Promise<T> {
    const { tokensRead, nextPosition } = this;
    try {
      return await this.cache.narrowed(firstToken, SINKS, work);
    } finally {
      this.tokensRead = tokensRead;
      this.nextPosition = nextPosition;
    }
  }

  /** Forwards tokens that stay whatever the budget, and gives the logits of the last one. */
  async write(tokens: number[]): Promise<Float32Array> {
    let logits: Float32Array | null = null;
    for (let from = 0; from < tokens.length; from += this.options.chunkTokens) {
      const piece = tokens.slice(from, from + this.options.chunkTokens);
      const last = from + piece.length === tokens.length;
      const result = await this.engine.pass(this.cache, {
        tokens: piece,
        firstPosition: this.nextPosition,
        logitsRows: last ? 1 : 0,
      });
      this.cache.append(result.keys, result.values, piece.length, this.tokensRead, this.nextPosition);
      this.tokensRead += piece.length;
      this.nextPosition += piece.length;
      logits = result.logits;
    }
    return logits!;
  }

  private selection(head: number, quota: number): SelectContext {
    const { cache } = this, live = cache.live[head]!, start = cache.start[head]!;
    const source = cache.source.subarray(start, start + live);
    const protectedSlots = new Uint8Array(live);
    protectedSlots.fill(1, 0, Math.min(SINKS, live));
    protectedSlots.fill(1, Math.max(0, live - RECENT));
    return { quota, protectedSlots, source, tokensRead: this.tokensRead };
  }
}
