/** One look of a policy at the cache, and what its stages' GPU forms are given: they add kernels to one recording, and read nothing back. */
import type { Aggregation } from "../../core/engine/attention_mass.ts";
import type { EmbeddingRows } from "../../core/engine/engine.ts";
import type { GpuPass, GpuPassResult, WebgpuEngine } from "../../core/engine/webgpu.ts";
import type { GpuKvCache } from "../../core/gpu_cache.ts";
import type { DocumentMean } from "../../core/probe/document_mean.ts";
import type { Policy } from "../../core/policy.ts";
import type { ReaderOptions } from "../../core/reader.ts";
import { type Ask, askLayer, softmaxBytes } from "../probe/ask_layer.ts";
import { ALL_SLOTS } from "../probe/attention_mass.ts";
import type { Gpu } from "../gpu.ts";
import type { Recording } from "../recording.ts";
import { PROBE_ROWS, REQUEST_ROWS } from "./plan.ts";
import type { IndexerOnGpu, LatentOnGpu } from "./indexmem.ts";
import { keysOf } from "./rows.ts";
import type { Slots } from "./slots.ts";
import { likeliestOf } from "./successor.ts";

/** As `Evidence` in `core/policy.ts`: [heads, stride] each. */
export type GpuEvidence = { [key in Aggregation | "score"]?: GPUBuffer } & { rows?: number };

/** What does not change while a prompt is read. */
export interface GpuMemory {
  gpu: Gpu;
  engine: WebgpuEngine;
  cache: GpuKvCache;
  slots: Slots;
  /** What a learned indexer and a latent memory have on the device, under policies that use them. */
  indexer?: IndexerOnGpu | null;
  latent?: LatentOnGpu | null;
}

/** Where the reading stands. */
export interface Moment {
  policy: Policy;
  options: ReaderOptions;
  /** Slots per head that shall be left, on average, and the most that one head may get. */
  budget: number;
  mostSlots: number;
  tokensRead: number;
  nextPosition: number;
  positionsLeft: number;
  /** Earlier compactions. */
  compactions: number;
  /** Slots of every head that stand for several tokens, from the first compaction on. */
  memorySlots: number;
  /** Live slots per head, on average. */
  liveSlots: number;
  /** The same of every head, where the CPU knows them: under `uniform` and `pyramid`. */
  live: Int32Array;
  /** The chunk's token ids, how many these are, and what its pass gave. */
  tokens: number[];
  /** What is known of the document beside its slots, where the policy needs it. */
  document: DocumentMean | null;
  rows: number;
  chunk: GpuPassResult | null;
}

/** Numbers of the model that kernels want. */
export interface Shape {
  heads: number;
  layers: number;
  kvHeads: number;
  /** Query heads of a KV head. */
  group: number;
  headDim: number;
  /** Numbers of a row in the cache. */
  width: number;
  stride: number;
}

export class Compaction {
  readonly shape: Shape;
  recording: Recording;
  /** Rows of a probe stand behind the live slots and are asked for in `recording`. */
  private isAsking = false;
  /** Rows that were written behind the live slots for the while. */
  private behind = 0;
  private readonly afterwards: (() => void)[] = [];

  constructor(readonly memory: GpuMemory, readonly moment: Moment) {
    const { cache, engine: { config }, gpu } = memory;
    this.shape = {
      heads: cache.heads,
      layers: cache.shape.layers,
      kvHeads: config.kvHeads,
      group: config.heads / config.kvHeads,
      headDim: config.headDim,
      width: cache.slotDim,
      stride: cache.capacity,
    };
    this.recording = gpu.record();
  }

  /** Runs what was recorded. */
  submit(): void {
    this.recording.submit();
    for (const work of this.afterwards.splice(0)) work();
    this.isAsking = false;
  }

  /** The numbers of a launch over one layer. */
  layer(layer: number): { heads: number; firstHead: number; kvHeads: number; stride: number } {
    const { kvHeads, stride } = this.shape;
    return { heads: kvHeads, firstHead: layer * kvHeads, kvHeads, stride };
  }

  /** Runs what was recorded so far, and goes on recording: what follows is another pass. */
  flush(): void {
    this.submit();
    this.recording = this.memory.gpu.record();
  }

  /** Attention mass of the chunk's last `rows` rows on the live slots, the chunk's among them. @param newest only on so many last slots */
  askWithChunk(rows: number, wanted: readonly Aggregation[], name = "mass", newest = ALL_SLOTS): GpuEvidence {
    const queries = this.moment.chunk?.queries;
    if (!queries) throw new Error("The chunk's pass gave no queries");
    return this.ask(queries, { rows, behind: 0, newest }, wanted, name);
  }

  /** Forwards probe tokens behind the live slots, which stay as they are, and gives the mass that they lay on these, or on so many last ones. */
  async askWith(
    tokens: number[],
    wanted: readonly Aggregation[],
    name = "mass",
    newest = ALL_SLOTS,
  ): Promise<GpuEvidence> {
    const rows = tokens.length;
    const { queries } = await this.forward(tokens, { queryRows: rows });
    return this.ask(queries!, { rows, behind: rows, newest }, wanted, name);
  }

  /** The same with rows that are no tokens. */
  async askWithRows(soft: EmbeddingRows, wanted: readonly Aggregation[], name: string): Promise<GpuEvidence> {
    const rows = soft.count, { queries } = await this.forward([], { queryRows: rows, soft });
    return this.ask(queries!, { rows, behind: rows }, wanted, name);
  }

  /** Goes on writing behind the live slots and what was written so before, until `forget`. @returns the likeliest next token */
  async write(tokens: number[]): Promise<number> {
    const result = await this.forward(tokens, { logitsRows: 1 });
    this.add(tokens.length);
    return await this.likeliest(result);
  }

  /** As `write` for one token, whose attention to the live slots is asked for. */
  async askAndWrite(token: number, wanted: readonly Aggregation[], name: string) {
    const result = await this.forward([token], { queryRows: 1, logitsRows: 1 });
    this.add(1);
    const evidence = this.ask(result.queries!, { rows: 1, behind: this.behind }, wanted, name);
    return { next: await this.likeliest(result), evidence };
  }

  /** The likeliest token after a pass, whose logits are needed no longer; its queries are, until what was recorded runs. */
  private async likeliest({ logits, releaseLogits }: GpuPassResult): Promise<number> {
    const token = await likeliestOf(this.memory, logits!);
    releaseLogits();
    return token;
  }

  /** Forgets what was written. */
  forget(): void {
    const { cache } = this.memory;
    for (let layer = 0; layer < cache.end.length; layer++) cache.end[layer]! -= this.behind;
    cache.sliding?.restore();
    this.behind = 0;
  }

  private add(rows: number): void {
    const { cache } = this.memory;
    // rows of the pass stand behind the last one: what is put aside is what was there before
    cache.sliding?.save();
    cache.append(rows);
    this.behind += rows;
  }

  private async forward(
    tokens: number[],
    wanted: Pick<GpuPass, "queryRows" | "logitsRows" | "soft">,
  ): Promise<GpuPassResult> {
    // a pass writes where the last one's keys are, and these may not have been looked at yet
    if (this.isAsking && this.behind === 0) this.flush();
    const firstPosition = this.moment.nextPosition + this.behind;
    const { engine, cache, latent } = this.memory;
    const result = await engine.pass(cache, { tokens, firstPosition, latent: latent?.shown ?? null, ...wanted });
    this.afterwards.push(() => result.release());
    this.isAsking = true;
    return result;
  }

  private ask(
    queries: GPUBuffer[],
    rows: Pick<Ask, "rows" | "behind" | "newest">,
    wanted: readonly Aggregation[],
    name: string,
  ): GpuEvidence {
    const { gpu, slots } = this.memory, { layers, kvHeads, group, headDim, width, stride } = this.shape;
    const mass = Object.fromEntries(
      wanted.map((aggregation) => [aggregation, slots.perSlot(`${name}.${aggregation}`)]),
    );
    const ask = { kvHeads, group, stride, ...rows };
    // a chunk's last rows may be fewer, and nothing shall be allocated for them
    const chunk = this.moment.options.chunkTokens + REQUEST_ROWS;
    const most = rows.rows <= PROBE_ROWS ? PROBE_ROWS : Math.max(chunk, rows.rows);
    const softmax = slots.array(`softmax.${most}`, softmaxBytes({ ...ask, rows: most }));
    const { start, end } = slots;
    for (let layer = 0; layer < layers; layer++) {
      const keys = keysOf(this.recording, this.memory, layer);
      const buffers = { queries: queries[layer]!, keys, start, end, softmax, mass };
      askLayer(gpu, this.recording, buffers, { ...ask, firstHead: layer * kvHeads, headDim, width });
    }
    return { ...mass, rows: rows.rows };
  }
}
