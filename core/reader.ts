/**
 * A reading over arrays: the state of a prompt that flows through the cache. `read` forwards a chunk and compacts when live slots exceed the budget; `write`
 * forwards the question and what is generated. This is the pipeline from forward to compact.
 */
import { type Budget, widenedBytes } from "./budget.ts";
import { KvCache, MEMORY_SOURCE } from "./cache.ts";
import { compact } from "./compact.ts";
import { FEW_ROWS } from "./engine/attention.ts";
import type { Engine } from "./engine/engine.ts";
import { cacheShape } from "./engine/layers.ts";
import { DECODE_BLOCK, evictWritten } from "./decode/evict.ts";
import { likeliest } from "./decode/write.ts";
import {
  attributesFor,
  documentMeanFor,
  type Evidence,
  featuresFor,
  latentRankFor,
  needs,
  type Passage,
  type Policy,
  type ProbeTokenizer,
  SINKS,
  type StageContext,
  stateBytes,
} from "./policy.ts";
import { indexRowsOf } from "./probe/index_score.ts";
import type { StoredType } from "./stored_rows.ts";
import { protectedSlots } from "./protected_slots.ts";
import type { DocumentMean } from "./probe/document_mean.ts";
import { askWith } from "./probe/evidence.ts";
import { KnownText } from "./recall/known_text.ts";
import { type DocumentPlace, type Reading, refuseUnmet } from "./reading.ts";
import type { Positions } from "./record.ts";
import { type LayerRopes, ropesOf } from "./rope.ts";

export interface ReaderOptions {
  budget: Budget;
  chunkTokens: number;
  /** Slots kept free for question and answer. */
  reserve: number;
  positions: "auto" | Positions;
  /** Tokens that the `question` probe forwards; none when the document is read before its questions are known. */
  questionTokens: number[];
  /** Tokens with which an answer would begin. */
  answerTokens: number[];
  /** First tokens that are no part of the document: the chat template's. Default: none. */
  headTokens?: number;
  /** For probes that ask with a text of their own. */
  tokenizer: ProbeTokenizer;
  /** Slots of written tokens that stay, under a decode policy that evicts. Default: as many as are written. */
  decodeBudget?: number;
  /** Written tokens beyond that budget which trigger an eviction. Default `DECODE_BLOCK`. */
  decodeBlock?: number;
}

export class Reader implements Reading {
  readonly kvType: StoredType;
  readonly cache: KvCache;
  tokensRead = 0;
  nextPosition = 0;
  positions: Positions = "original";
  compactions = 0;
  evicted = 0;
  evictedWritten = 0;
  policyMs = 0;
  /** Written slots, per head: the last ones. */
  private written = 0;
  /** Inside `aside`: all that is written is forgotten soon, and nothing of it is evicted. */
  private isAside = false;
  /** Text around the slots, where the policy recalls it. */
  readonly text: KnownText | null;
  private readonly ropes: LayerRopes;
  /** What is known of the document beside its slots, where the policy needs it. */
  readonly document: DocumentMean | null;

  /** @throws {UsageError} when the engine was opened for a policy that needs less, or the policy needs a question and there is none */
  constructor(readonly engine: Engine, readonly policy: Policy, readonly options: ReaderOptions) {
    refuseUnmet(policy, engine.features, featuresFor(policy), options.questionTokens);
    this.cache = new KvCache(
      cacheShape(engine.config),
      options.budget.capacity,
      attributesFor(policy, engine.packs),
      latentRankFor(policy, engine.packs),
      this.kvType = engine.features.kvType,
    );
    this.ropes = ropesOf(engine.config);
    this.document = documentMeanFor(policy, engine.packs, options.headTokens);
    this.text = needs(policy, "text") ? new KnownText() : null;
    if (options.positions === "compact") this.positions = "compact";
  }

  get kvBytes(): number {
    return this.cache.bytes + stateBytes(this.policy, this.engine.config);
  }

  get widenedBytes(): number {
    return widenedBytes(this.engine.config, this.cache.capacity, this.kvType);
  }

  get liveSlots(): number {
    return this.cache.meanLive;
  }

  get peakLiveSlots(): number {
    return this.cache.peakLive;
  }

  async read(tokens: number[], whileWhole?: () => Promise<void>): Promise<void> {
    const { engine, cache, policy, options } = this, { kvHeads } = cache.shape;
    const due = policy.evicts && cache.meanLive + tokens.length > options.budget.slots;
    const looks = policy.evicts && (due || policy.probe.everyChunk === true);
    const nextPosition = this.nextPosition + tokens.length;
    this.document?.add(tokens);
    const before = {
      packs: engine.packs,
      document: this.document,
      questionTokens: options.questionTokens,
      nextPosition,
      positionsLeft: options.positions === "original" ? Infinity : engine.config.trainedPositions - nextPosition,
    };
    const chunk = await engine.pass(cache, {
      tokens,
      firstPosition: this.nextPosition,
      scoreRows: looks ? Math.min(policy.probe.windowRows, tokens.length) : 0,
      // the sinks' queries are like no others
      ...(this.wantsFacts(looks)
        ? { factsFrom: Math.min(tokens.length - 1, Math.max(0, SINKS - this.tokensRead)) }
        : {}),
      ...(needs(policy, "indexer") ? indexing(policy.probe, looks ? tokens.length : 0) : {}),
    });
    cache.append(chunk.keys, chunk.values, tokens.length, this.tokensRead, this.nextPosition, {
      valueNorm: chunk.valueNorms,
      indexerKey: chunk.index && Array.from(cache.live, (_, head) => chunk.index![Math.floor(head / kvHeads)]!.keys),
    });
    this.text?.append(tokens, this.tokensRead);
    this.tokensRead += tokens.length;
    this.nextPosition += tokens.length;
    await whileWhole?.();
    if (!looks) return;

    const started = performance.now();
    const context: StageContext = {
      engine,
      cache,
      budget: options.budget.slots,
      mostSlots: options.positions === "original"
        ? Infinity
        : Math.max(options.budget.slots, engine.config.trainedPositions - options.chunkTokens - options.reserve),
      tokensRead: this.tokensRead,
      protectedSlots: Array.from({ length: cache.heads }, (_, head) => protectedSlots(cache.sources(head))),
    };
    const seen = await policy.probe.look({
      ...context,
      ...before,
      chunk,
      tokens,
      answerTokens: options.answerTokens,
      tokenizer: options.tokenizer,
      rows: policy.aggregate.rows,
    });
    if (!due) {
      this.policyMs += performance.now() - started;
      return;
    }
    const evidence = askedFor(seen, policy);
    const scores = await policy.aggregate.score(evidence, context);
    // memory slots are made of evicted ones, and stay from then on
    const making = this.compactions === 0 ? policy.compensate.memorySlots?.(options.budget.slots) ?? 0 : 0;
    const { budget, mostSlots } = context;
    const quotas = policy.allocate.quotas(scores, {
      ...context,
      budget: budget - making,
      mostSlots: mostSlots - making,
    });
    const chosen = scores.map((row, head) =>
      policy.select.keep(row, {
        quota: quotas[head]!,
        protectedSlots: context.protectedSlots[head]!,
        source: cache.sources(head),
        valueNorm: cache.has("valueNorm") ? cache.attribute("valueNorm", head) : NONE,
        tokensRead: this.tokensRead,
      })
    );
    const keep = await policy.compensate.apply({ ...context, keep: chosen, scores, evidence });
    const liveBefore = cache.meanLive;
    // the trained positions end before the next chunk and the answer would: from here on positions are compact
    const { chunkTokens, reserve } = options, trained = engine.config.trainedPositions;
    if (options.positions === "auto" && this.nextPosition + chunkTokens + reserve > trained) this.positions = "compact";
    this.nextPosition = compact(cache, keep, this.positions, this.ropes, this.nextPosition);
    this.text?.forget(cache, this.tokensRead);
    this.compactions++;
    this.evicted += liveBefore - cache.meanLive;
    this.policyMs += performance.now() - started;
    if (cache.meanLive > options.budget.slots) {
      throw new Error(`Policy ${policy.name} kept ${cache.meanLive} slots of a budget of ${options.budget.slots}`);
    }
    // all heads have the same room beyond their live slots, however many those are: capacity - mean live
    if (cache.free < chunkTokens + reserve) {
      throw new Error(
        `The cache has ${cache.free} free slots in a head, where a chunk of ${chunkTokens} and a reserve of ${reserve} must fit`,
      );
    }
  }

  /** Value norms belong to rows and stay with them; moments of queries are for the look at this chunk. */
  private wantsFacts(looks: boolean): boolean {
    const { valueNorms, queryMoments } = this.engine.features;
    return this.policy.evicts && (valueNorms || (queryMoments && looks));
  }

  keptTokens(): Promise<Int32Array[]> {
    return Promise.resolve(Array.from({ length: this.cache.heads }, (_, head) => this.cache.sources(head).slice()));
  }

  async coverage(first: number): Promise<number[]> {
    const { cache } = this, tenths = Array<number>(10).fill(0), length = this.tokensRead - first;
    let counted = 0;
    for (let head = 0; head < cache.heads; head++) {
      const start = cache.start[head]!;
      for (let slot = start; slot < start + cache.live[head]!; slot++) {
        const token = cache.source[slot]! - first;
        if (token < 0 || cache.source[slot] === MEMORY_SOURCE) continue;
        tenths[Math.floor(token * 10 / length)]!++;
        counted++;
      }
    }
    return tenths.map((slots) => slots / Math.max(1, counted));
  }

  async aside<T>(firstToken: number, work: () => Promise<T>): Promise<T> {
    const { tokensRead, nextPosition } = this;
    this.isAside = true;
    try {
      return await this.cache.narrowed(firstToken, SINKS, work);
    } finally {
      this.tokensRead = tokensRead;
      this.nextPosition = nextPosition;
      this.isAside = false;
    }
  }

  recall(questionTokens: number[], document: DocumentPlace): Promise<Passage[]> {
    return this.compactions === 0 ? Promise.resolve([]) : this.passages(questionTokens, document);
  }

  cite(tokens: number[], document: DocumentPlace): Promise<Passage[]> {
    return this.passages(tokens, document, true);
  }

  private async passages(questionTokens: number[], { first, end }: DocumentPlace, all = false): Promise<Passage[]> {
    const started = performance.now(), { engine, cache, nextPosition, policy, options: { tokenizer } } = this;
    const passages = await policy.recall.passages({
      heads: cache.heads,
      sources: (head) => cache.sources(head),
      ask: async (tokens) => (await askWith(engine, cache, tokens, nextPosition)).max!,
      questionTokens,
      firstSource: first,
      endSource: end,
      all,
      text: this.text ?? new KnownText(),
      tokenizer,
    });
    this.policyMs += performance.now() - started;
    return passages;
  }

  async write(tokens: number[]): Promise<Float32Array> {
    // slots' biases count where few rows look
    const most = this.engine.features.logBias ? FEW_ROWS : this.options.chunkTokens;
    let logits: Float32Array | null = null;
    for (let from = 0; from < tokens.length; from += most) {
      const piece = tokens.slice(from, from + most);
      const last = from + piece.length === tokens.length;
      logits = (await this.forward(piece, last ? 1 : 0)).logits;
    }
    this.written = 0;
    return logits!;
  }

  next(token: number): Promise<Float32Array> {
    return this.follow([token]);
  }

  async likeliestAfter(tokens: number[]): Promise<number> {
    return likeliest(await this.write(tokens));
  }

  async likeliestNext(token: number): Promise<number> {
    return likeliest(await this.next(token));
  }

  /**
   * Forwards a text that is known already, as if its tokens were being written: `next` for each, in fewer passes, as nothing is evicted inside a block.
   * @returns logits of every token's successor, [tokens, vocab]
   */
  async follow(tokens: number[]): Promise<Float32Array> {
    const { cache, engine, options, policy: { decode } } = this;
    const budget = options.decodeBudget ?? Infinity, block = options.decodeBlock ?? DECODE_BLOCK;
    if (!decode.evicts || budget === Infinity || this.isAside) {
      return (await this.forward(tokens, tokens.length)).logits!;
    }
    const { vocab } = engine.config, all = new Float32Array(tokens.length > 1 ? tokens.length * vocab : 0);
    for (let from = 0; from < tokens.length;) {
      const room = budget + block - this.written, most = decode.observes ? Math.min(FEW_ROWS, room) : room;
      const piece = tokens.slice(from, from + most), rows = piece.length;
      const written = this.written += rows, untilEviction = budget + block - written;
      const observed = Math.min(rows, Math.max(0, (decode.observes ?? 0) - untilEviction));
      const { logits, newestMass } = await this.forward(piece, rows, observed > 0 ? written : 0);
      const started = performance.now(), context = { cache, written, budget };
      for (let row = rows - observed; row < rows; row++) {
        decode.observe!(context, massOfRow(newestMass!, row, rows, written));
      }
      if (untilEviction === 0) {
        const keep = evictWritten(decode, context);
        // the trained positions end before the next eviction would
        if (options.positions === "auto" && this.nextPosition + block > engine.config.trainedPositions) {
          this.positions = "compact";
        }
        this.nextPosition = compact(cache, keep, this.positions, this.ropes, this.nextPosition);
        this.written = budget;
        this.evictedWritten += written - budget;
      }
      this.policyMs += performance.now() - started;
      if (rows === tokens.length) return logits!;
      all.set(logits!, from * vocab);
      from += rows;
    }
    return all;
  }

  /**
   * Where tokens wait to be written, after a memory was restored: positions become compact where the trained ones would end before the reserve does.
   */
  makeRoom(): void {
    const { cache, options: { positions, reserve }, engine: { config } } = this;
    if (positions !== "auto" || this.nextPosition + reserve <= config.trainedPositions) return;
    this.positions = "compact";
    const all = Array.from(cache.live, (live) => Int32Array.from({ length: live }, (_, slot) => slot));
    this.nextPosition = compact(cache, all, this.positions, this.ropes, this.nextPosition);
  }

  /** Arrays need no giving back. */
  [Symbol.dispose](): void {}

  private async forward(tokens: number[], logitsRows: number, newestSlots = 0) {
    const result = await this.engine.pass(this.cache, {
      tokens,
      firstPosition: this.nextPosition,
      logitsRows,
      newestSlots,
    });
    this.cache.append(result.keys, result.values, tokens.length, this.tokensRead, this.nextPosition);
    this.tokensRead += tokens.length;
    this.nextPosition += tokens.length;
    return result;
  }
}

/** Evidence as if the graph gave no more than the policy asks of it: what else it was opened for must not change what a policy does. */
function askedFor({ max, mean, defensive, ...others }: Evidence, { aggregate: { rows } }: Policy): Evidence {
  return {
    ...others,
    ...(max && rows.includes("max") ? { max } : {}),
    ...(mean && rows.includes("mean") ? { mean } : {}),
    ...(defensive && rows.includes("defensive") ? { defensive } : {}),
  };
}

/** One row of [heads, rows, slots] as [heads, slots]; the only row as it is. */
function massOfRow(mass: Float32Array, row: number, rows: number, slots: number): Float32Array {
  if (rows === 1) return mass;
  const heads = mass.length / (rows * slots), one = new Float32Array(heads * slots);
  for (let head = 0; head < heads; head++) {
    const from = (head * rows + row) * slots;
    one.set(mass.subarray(from, from + slots), head * slots);
  }
  return one;
}

/** What a chunk's pass gives of the indexer: keys of all rows, and queries of those that ask. @param rows 0 where none asks */
const indexing = ({ indexRows }: Policy["probe"], rows: number) => ({
  indexRows: indexRows ? indexRowsOf(indexRows, rows) : 0,
  indexEvery: indexRows?.every ?? 1,
});

const NONE = new Float32Array(0);
