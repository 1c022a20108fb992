/**
 * A reading on a GPU: `Reader`'s counterpart, whose cache, slots and policy stay on the device. A chunk's pass writes its rows in place; the whole policy
 * is one recording of kernels (two where a second probe asks); what comes back is a few numbers per compaction and one row of logits per written token.
 */
import type { SlotAttribute } from "../../core/cache.ts";
import { DECODE_BLOCK } from "../../core/decode/evict.ts";
import { FEW_ROWS } from "../../core/engine/attention.ts";
import type { DocumentMean } from "../../core/probe/document_mean.ts";
import {
  attributesFor,
  documentMeanFor,
  needs,
  type Passage,
  type Policy,
  RECENT,
  SINKS,
  stateBytes,
} from "../../core/policy.ts";
import { cacheShape } from "../../core/engine/layers.ts";
import { computedIn, GpuKvCache, gpuWidenedBytes } from "../../core/gpu_cache.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import type { GpuPassResult, WebgpuEngine } from "../../core/engine/webgpu.ts";
import type { ReaderOptions } from "../../core/reader.ts";
import type { DocumentPlace, Reading } from "../../core/reading.ts";
import { KnownText } from "../../core/recall/known_text.ts";
import type { Positions } from "../../core/record.ts";
import { perRope, ropesOf } from "../../core/rope.ts";
import { coverage } from "../compact/coverage.ts";
import { rotationTable } from "../compact/rotation.ts";
import { normShares } from "../aggregate/norm_shares.ts";
import { protect } from "../select/protect.ts";
import type { Gpu } from "../gpu.ts";
import type { Recording } from "../recording.ts";
import { aggregateForms } from "./aggregate.ts";
import { allocateForms } from "./allocate.ts";
import { compensateForms, type Kept } from "./compensate.ts";
import { Compaction, type GpuMemory } from "./compaction.ts";
import { recordEviction, recordObservation, type Written } from "./decode.ts";
import { recordLabels } from "./label.ts";
import { IndexerOnGpu, LatentOnGpu } from "./indexmem.ts";
import { recordMove, type SlotArray } from "./move.ts";
import { recordNarrowed, recordWhole } from "./narrowed.ts";
import { gpuCapacity, mostRows, mostSlotsOf } from "./plan.ts";
import { probeForm } from "./probe.ts";
import { asking, liveOf } from "./recall.ts";
import { storeNewRows } from "./rows.ts";
import { selectForms } from "./select.ts";
import { Slots } from "./slots.ts";
import { likeliestOf, logitsOf, type Take } from "./successor.ts";
import type { ValueNorms } from "./value_norms.ts";

/** Ids of the text that stay known before what no slot stands near is forgotten: looking costs a read-back of all sources. */
const TEXT_TOKENS = 1 << 16;

export class GpuReading implements Reading {
  tokensRead = 0;
  nextPosition = 0;
  positions: Positions = "original";
  compactions = 0;
  evicted = 0;
  evictedWritten = 0;
  policyMs = 0;
  peakLiveSlots = 0;
  /** Bytes read back by the last compaction. */
  bytesBack = 0;
  private readonly memory: GpuMemory;
  readonly text: KnownText | null;
  private readonly document: DocumentMean | null;
  private readonly turns: (layer: number) => GPUBuffer;
  /** Live slots of every head, where the CPU knows all quotas. */
  private live: Int32Array;
  /** Live slots of all heads. */
  private total = 0;
  /** Written slots, per head: the last ones. */
  private written = 0;
  /** Inside `aside`: all that is written is forgotten soon, and nothing of it is evicted. */
  private isAside = false;
  /** Rows that the cache holds and whose slots have no labels yet. */
  private unlabelled = { count: 0, source: 0, position: 0 };

  constructor(
    gpu: Gpu,
    engine: WebgpuEngine,
    readonly policy: Policy,
    readonly options: ReaderOptions,
    private readonly valueNorms: ValueNorms | null,
  ) {
    const { budget, chunkTokens, reserve } = options;
    const capacity = gpuCapacity(policy, { slots: budget.slots, chunkTokens, reserve });
    const { logBias, kvType } = engine.features, shape = cacheShape(engine.config);
    const cache = new GpuKvCache(gpu.device, shape, capacity, logBias, kvType, mostRows(chunkTokens));
    if (gpu.kvType !== computedIn(kvType)) {
      throw new Error(`Kernels look for ${gpu.kvType} where the cache stores ${kvType}`);
    }
    if (cache.int8) cache.store = (rows) => storeNewRows(gpu, cache, rows);
    const slots = new Slots(gpu, cache.heads, capacity), { indexmem } = engine.packs;
    this.memory = {
      gpu,
      engine,
      cache,
      slots,
      indexer: policy.evicts && needs(policy, "indexer")
        ? new IndexerOnGpu(gpu, slots, indexmem!, engine.config)
        : null,
      latent: policy.evicts && needs(policy, "readout") ? new LatentOnGpu(gpu, slots, indexmem!, engine.config) : null,
    };
    this.live = new Int32Array(cache.heads);
    this.document = documentMeanFor(policy, engine.packs, options.headTokens);
    this.text = needs(policy, "text") ? new KnownText() : null;
    if (options.positions === "compact") this.positions = "compact";
    let tables = 0;
    this.turns = perRope(ropesOf(engine.config), (rope) => {
      const table = rotationTable(rope, engine.config.trainedPositions + capacity);
      const turns = slots.array(`turns.${tables++}`, table.byteLength);
      gpu.write(turns, table);
      return turns;
    });
    for (let layer = 0; layer < cache.shape.layers; layer++) this.turns(layer);
    slots.turns = this.turns;
  }

  get widenedBytes(): number {
    const { shape, capacity, wide, type } = this.memory.cache;
    return gpuWidenedBytes(shape, capacity, wide, type);
  }

  get kvType(): StoredType {
    return this.memory.cache.type;
  }

  get kvBytes(): number {
    const { cache, slots, engine } = this.memory;
    return cache.bytes + slots.bytes + stateBytes(this.policy, engine.config);
  }

  get liveSlots(): number {
    return this.total / this.memory.cache.heads;
  }

  async read(tokens: number[], whileWhole?: () => Promise<void>): Promise<void> {
    const { policy, options, memory: { engine, cache, gpu, slots } } = this, { budget } = options;
    const due = policy.evicts && this.liveSlots + tokens.length > budget.slots;
    const looks = policy.evicts && (due || policy.probe.everyChunk === true);
    const chunk = await engine.pass(cache, {
      tokens,
      firstPosition: this.nextPosition,
      queryRows: looks ? Math.min(policy.probe.windowRows, tokens.length) : 0,
      latent: this.memory.latent?.shown ?? null,
    });
    this.append(tokens);
    this.document?.add(tokens);
    this.text?.append(tokens, this.tokensRead - tokens.length);
    await whileWhole?.();

    const started = performance.now(), readBefore = gpu.bytesRead;
    const compaction = this.compaction(tokens, chunk);
    this.label(compaction.recording);
    const { heads, kvHeads, stride } = compaction.shape;
    this.valueNorms?.record(compaction);
    this.memory.indexer?.recordKeys(compaction);
    if (policy.aggregate.name === "defensive") {
      const share = slots.perSlot("attribute.normShare"), norm = slots.perSlot("attribute.valueNorm");
      normShares.record(compaction.recording, { norm, end: slots.end, share }, {
        heads,
        kvHeads,
        stride,
        count: tokens.length,
      });
    }
    if (looks) await this.compact(compaction, due);
    else compaction.submit();
    chunk.release();
    this.policyMs += looks ? performance.now() - started : 0;
    this.bytesBack = gpu.bytesRead - readBefore;
    if (due) await this.forget();
  }

  /** A look at the cache as it is now. @param tokens of the chunk that was just appended */
  private compaction(tokens: number[], chunk: GpuPassResult | null): Compaction {
    const { policy, options, memory: { engine: { config } } } = this;
    return new Compaction(this.memory, {
      policy,
      options,
      budget: options.budget.slots,
      mostSlots: mostSlotsOf(policy, config, options),
      tokensRead: this.tokensRead,
      nextPosition: this.nextPosition,
      positionsLeft: options.positions === "original" ? Infinity : config.trainedPositions - this.nextPosition,
      compactions: this.compactions,
      memorySlots: policy.compensate.memorySlots?.(options.budget.slots) ?? 0,
      liveSlots: this.liveSlots,
      live: this.live,
      tokens,
      document: this.document,
      rows: tokens.length,
      chunk,
    });
  }

  /** protect → probe → aggregate → allocate → select → compensate → compact */
  private async compact(compaction: Compaction, due: boolean): Promise<void> {
    const { policy, options, memory: { engine, cache, gpu, slots } } = this, { start, end, source } = slots;
    const { heads, stride, layers } = compaction.shape;
    const shielded = slots.perSlot("shielded"), guarded = slots.perHead("guarded");
    protect.record(compaction.recording, { source, start, end, shielded, guarded }, {
      heads,
      stride,
      sinks: SINKS,
      recent: RECENT,
    });
    const evidence = await probeForm(policy.probe.name)!(compaction);
    if (!due) return compaction.submit();
    const scores = aggregateForms[policy.aggregate.name]!(compaction, evidence);
    const making = this.compactions === 0 ? compaction.moment.memorySlots : 0;
    const { quota, known } = allocateForms[policy.allocate.name]!(compaction, scores, making);
    const chosen: Kept = { kept: slots.perSlot("kept"), count: slots.perHead("count") };
    const selection = { scores, shielded, guarded, source, start, end, quota, ...chosen };
    selectForms[policy.select.name]!(compaction, selection);
    const stays = compensateForms[policy.compensate.name]!(compaction, evidence, chosen, making);

    const { chunkTokens, reserve } = options, trained = engine.config.trainedPositions;
    if (options.positions === "auto" && this.nextPosition + chunkTokens + reserve > trained) this.positions = "compact";
    const summary = this.move(compaction.recording, stays);
    compaction.submit();
    const [before, after, longest, ...ends] = await gpu.read(summary, new Uint32Array(3 + layers));
    cache.end.set(ends);
    this.total = after!;
    if (known) this.live = this.live.map((slots, head) => Math.min(slots, known[head]! + making));
    if (this.positions === "compact") this.moveTo(longest!);
    this.compactions++;
    this.evicted += (before! - after!) / heads;
    if (after! > options.budget.slots * heads) {
      throw new Error(`Policy ${policy.name} kept ${after! / heads} slots of a budget of ${options.budget.slots}`);
    }
    if (cache.free < chunkTokens + reserve) {
      throw new Error(
        `The cache has ${cache.free} free slots, where a chunk of ${chunkTokens} and a reserve of ${reserve} must fit`,
      );
    }
  }

  /** RoPE index of the next token under compact positions. */
  private moveTo(position: number): void {
    this.memory.cache.sliding?.movedBy(this.nextPosition - position);
    this.nextPosition = position;
  }

  /** Moves what stays of every head together, and what is known of it. */
  private move(recording: Recording, stays: Kept): GPUBuffer {
    const { positions, turns, attributes } = this;
    return recordMove(recording, this.memory, stays, { positions, turns, attributes, sinks: SINKS });
  }

  /** What the policy remembers of every slot; a log-bias stands in the key's row, and a threshold belongs to a head. */
  private get attributes(): SlotArray[] {
    const { slots, engine } = this.memory;
    return attributesFor(this.policy, engine.packs).flatMap((spec) => {
      if (typeof spec !== "string") {
        return [{ array: slots.wide(`attribute.${spec.name}`, spec.width), width: spec.width }];
      }
      return spec === "logBias" || spec === "threshold"
        ? []
        : [{ array: slots.perSlot(`attribute.${spec}`), width: 1 }];
    });
  }

  /** Rows that the last pass wrote become live; their labels follow with the next recording. */
  private append(tokens: number[]): void {
    const { cache } = this.memory;
    if (this.unlabelled.count === 0) {
      this.unlabelled = { count: 0, source: this.tokensRead, position: this.nextPosition };
    }
    cache.append(tokens.length);
    this.unlabelled.count += tokens.length;
    this.total += tokens.length * cache.heads;
    this.live = this.live.map((slots) => slots + tokens.length);
    this.peakLiveSlots = Math.max(this.peakLiveSlots, this.liveSlots);
    this.tokensRead += tokens.length;
    this.nextPosition += tokens.length;
  }

  private recordLabels(recording: Recording): void {
    // several numbers are given by who computes them
    const single = this.attributes.filter(({ width }) => width === 1).map(({ array }) => array);
    recordLabels(recording, this.memory, this.unlabelled, single);
  }

  private label(recording: Recording): void {
    if (this.unlabelled.count > 0) this.recordLabels(recording);
    this.unlabelled.count = 0;
  }

  /** Once the known text is long, forgets what no slot stands near. */
  private async forget(): Promise<void> {
    if (!this.text || this.text.length < TEXT_TOKENS) return;
    const live = await this.liveTokens();
    this.text.forget({ heads: live.length, sources: (head) => live[head]! }, this.tokensRead);
  }

  /** Source tokens of every head's live slots, read back. */
  async liveTokens(): Promise<Int32Array[]> {
    const { slots } = this.memory;
    return await liveOf(this.memory, slots.source, new Int32Array(slots.heads * slots.stride));
  }

  /** What the policy remembers of every head's live slots, read back. */
  async liveAttribute(name: SlotAttribute): Promise<Float32Array[]> {
    const { slots } = this.memory;
    return await liveOf(this.memory, slots.perSlot(`attribute.${name}`), new Float32Array(slots.heads * slots.stride));
  }

  async keptTokens(): Promise<Int32Array[]> {
    const recording = this.memory.gpu.record();
    this.label(recording);
    recording.submit();
    return (await this.liveTokens()).map((tokens) => tokens.slice());
  }

  async coverage(first: number): Promise<number[]> {
    const { gpu, slots, cache } = this.memory, recording = gpu.record(), { source, start, end } = slots;
    this.label(recording);
    const tenths = slots.array("tenths", 40);
    recording.encoder.clearBuffer(tenths);
    coverage.record(recording, { source, start, end, tenths }, {
      heads: cache.heads,
      stride: cache.capacity,
      first,
      length: Math.max(1, this.tokensRead - first),
    });
    recording.submit();
    const counts = Array.from(await gpu.read(tenths, new Uint32Array(10)));
    const counted = counts.reduce((a, b) => a + b, 0);
    return counts.map((slots) => slots / Math.max(1, counted));
  }

  async aside<T>(firstToken: number, work: () => Promise<T>): Promise<T> {
    const { memory, tokensRead, nextPosition, total, live } = this, ends = memory.cache.end.slice();
    const narrowed = memory.gpu.record();
    this.label(narrowed);
    recordNarrowed(narrowed, memory, firstToken);
    narrowed.submit();
    this.isAside = true;
    try {
      return await work();
    } finally {
      this.isAside = false;
      memory.cache.end.set(ends);
      Object.assign(this, { tokensRead, nextPosition, total, live });
      this.unlabelled.count = 0;
      const whole = memory.gpu.record();
      recordWhole(whole, memory);
      whole.submit();
    }
  }

  recall(questionTokens: number[], document: DocumentPlace): Promise<Passage[]> {
    return this.compactions === 0 ? Promise.resolve([]) : this.passages(questionTokens, document);
  }

  cite(tokens: number[], document: DocumentPlace): Promise<Passage[]> {
    return this.passages(tokens, document, true);
  }

  private async passages(questionTokens: number[], { first, end }: DocumentPlace, all = false): Promise<Passage[]> {
    if (!this.text) return [];
    const started = performance.now();
    const recording = this.memory.gpu.record();
    this.label(recording);
    recording.submit();
    const live = await this.liveTokens();
    const passages = await this.policy.recall.passages({
      heads: live.length,
      sources: (head) => live[head]!,
      ask: asking(() => this.compaction([], null)),
      questionTokens,
      firstSource: first,
      endSource: end,
      all,
      text: this.text,
      tokenizer: this.options.tokenizer,
    });
    this.policyMs += performance.now() - started;
    return passages;
  }

  write(tokens: number[]): Promise<Float32Array> {
    return this.forwardTail(tokens, logitsOf);
  }

  next(token: number): Promise<Float32Array> {
    return this.forwardWritten(token, logitsOf);
  }

  likeliestAfter(tokens: number[]): Promise<number> {
    return this.forwardTail(tokens, likeliestOf);
  }

  likeliestNext(token: number): Promise<number> {
    return this.forwardWritten(token, likeliestOf);
  }

  /** @param take what is wanted of the last token's logits */
  private async forwardTail<T>(tokens: number[], take: Take<T>): Promise<T> {
    const { engine } = this.memory, { chunkTokens } = this.options;
    const most = engine.features.logBias ? Math.min(FEW_ROWS, chunkTokens) : chunkTokens;
    let taken: T | null = null;
    for (let from = 0; from < tokens.length; from += most) {
      const piece = tokens.slice(from, from + most), isLast = from + piece.length === tokens.length;
      taken = await this.forward(piece, isLast ? take : null);
    }
    this.written = 0;
    return taken!;
  }

  private async forwardWritten<T>(token: number, take: Take<T>): Promise<T> {
    const { policy: { decode }, options } = this, budget = options.decodeBudget ?? Infinity;
    const block = options.decodeBlock ?? DECODE_BLOCK;
    if (!decode.evicts || budget === Infinity || this.isAside) return (await this.forward([token], take))!;
    const written = ++this.written, untilEviction = budget + block - written;
    const observes = (decode.observes ?? 0) > untilEviction, evicts = untilEviction === 0;
    const { engine, cache } = this.memory;
    const pass = {
      tokens: [token],
      firstPosition: this.nextPosition,
      logitsRows: 1,
      queryRows: observes ? 1 : 0,
      latent: this.memory.latent?.shown ?? null,
    };
    const result = await engine.pass(cache, pass);
    this.append([token]);
    const taken = await take(this.memory, result.logits!);
    const started = performance.now();
    if (observes || evicts) {
      const compaction = this.compaction([token], result);
      this.label(compaction.recording);
      if (observes) recordObservation(compaction, written);
      if (evicts) this.evictWritten(compaction, { written, budget }, block);
      compaction.submit();
    }
    result.release();
    this.policyMs += performance.now() - started;
    return taken;
  }

  /** The CPU knows what comes of it, as all heads evict as many slots: nothing is read back. */
  private evictWritten(compaction: Compaction, of: Written, block: number): void {
    const { policy, options, memory: { engine, cache } } = this, { heads, layers } = compaction.shape;
    const stays = recordEviction(policy.decode.name, compaction, of), evicted = of.written - of.budget;
    // the trained positions end before the next eviction would
    if (options.positions === "auto" && this.nextPosition + block > engine.config.trainedPositions) {
      this.positions = "compact";
    }
    this.move(compaction.recording, stays);
    for (let layer = 0; layer < layers; layer++) cache.end[layer]! -= evicted;
    this.total -= evicted * heads;
    this.live = this.live.map((slots) => slots - evicted);
    if (this.positions === "compact") this.moveTo(Math.max(...cache.end));
    this.written = of.budget;
    this.evictedWritten += evicted;
  }

  private async forward<T>(tokens: number[], take: Take<T> | null): Promise<T | null> {
    const { engine, cache } = this.memory;
    const { logits, release } = await engine.pass(cache, {
      tokens,
      firstPosition: this.nextPosition,
      logitsRows: take ? 1 : 0,
      latent: this.memory.latent?.shown ?? null,
    });
    this.append(tokens);
    const taken = take ? await take(this.memory, logits!) : null;
    release();
    return taken;
  }

  [Symbol.dispose](): void {
    this.memory.slots.close();
    this.memory.cache.close();
  }
}
