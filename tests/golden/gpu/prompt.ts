/**
 * A prompt on a GPU: scored, compressed and continued through the kernels that a reading records (`kernels/reading/`), with a vector's parameters where the
 * product has its own. What is raised or edited to be as kvpress has it comes back, is changed on the CPU as in a run there, and goes to the device again.
 */
import type { WebgpuEngine } from "../../../core/engine/webgpu.ts";
import { cacheShape } from "../../../core/engine/layers.ts";
import { GpuKvCache } from "../../../core/gpu_cache.ts";
import { parsePolicy } from "../../../core/policies.ts";
import type { Policy, Scores } from "../../../core/policy.ts";
import { Rope } from "../../../core/rope.ts";
import { rotationTable } from "../../../kernels/compact/rotation.ts";
import { recordMerge } from "../../../kernels/compensate/merging.ts";
import { queryMoments } from "../../../kernels/forward/query_moments.ts";
import type { Gpu, Numbers } from "../../../kernels/gpu.ts";
import { aggregateForms, pooled } from "../../../kernels/reading/aggregate.ts";
import { allocateForms, competing } from "../../../kernels/reading/allocate.ts";
import { Compaction, type GpuMemory, type Moment } from "../../../kernels/reading/compaction.ts";
import { buffers, numbers } from "../../../kernels/reading/compensate.ts";
import { recordLabels } from "../../../kernels/reading/label.ts";
import { recordMove } from "../../../kernels/reading/move.ts";
import { expected, lag, type Look, probeForm } from "../../../kernels/reading/probe.ts";
import { liveOf } from "../../../kernels/reading/recall.ts";
import { critical, selectForms } from "../../../kernels/reading/select.ts";
import { Slots } from "../../../kernels/reading/slots.ts";
import type { ValueNorms } from "../../../kernels/reading/value_norms.ts";
import { fakeTokenizer } from "../../tiny_llama.ts";
import type { Compressed, Compression, PromptFacts, PromptOptions, Scoring, TestedPrompt } from "../device.ts";

export class GpuPrompt implements TestedPrompt {
  /** @param norms of the model, where they are wanted */
  constructor(
    private readonly gpu: Gpu,
    private readonly engine: WebgpuEngine,
    private readonly asked: PromptOptions,
    private readonly norms: ValueNorms | null,
  ) {}

  get config() {
    return this.engine.config;
  }

  async facts(): Promise<PromptFacts> {
    const { asked: { ids, decodeIds }, gpu, engine: { config } } = this;
    using read = new Read(gpu, this.engine, ids.length + decodeIds.length);
    const look = await read.chunk(ids, { policy: PLAIN });
    const { slots, cache } = read.memory, { heads, headDim } = config;
    this.norms!.record(look);
    const moments = Array.from({ length: config.layers }, (_, layer) => {
      const sum = slots.array(`golden.sum.${layer}`, 4 * heads * headDim);
      const outer = slots.array(`golden.outer.${layer}`, 4 * heads * headDim ** 2);
      const numbers = { heads, first: 0, behind: ids.length, rowStep: heads * cache.slotDim };
      const of = { WIDTH: cache.slotDim, HEAD_DIM: headDim };
      queryMoments.record(look.recording, { queries: look.moment.chunk!.rawQueries![layer]!, sum, outer }, {
        ...numbers,
        ...of,
      });
      return { sum, outer };
    });
    look.submit();
    const found: PromptFacts["moments"] = [];
    for (const { sum, outer } of moments) {
      found.push({
        sum: await gpu.read(sum, new Float32Array(heads * headDim)),
        outer: await gpu.read(outer, new Float32Array(heads * headDim ** 2)),
      });
    }
    look.moment.chunk!.release();
    return {
      valueNorms: await read.perSlot(slots.perSlot("attribute.valueNorm")),
      moments: found,
      ...await read.rows(),
      logits: await read.decode(decodeIds, ids.length),
    };
  }

  async scores(by: Scoring, sizes: number[], count: number): Promise<Scores> {
    const { asked: { ids }, gpu } = this, { probe, aggregate } = by;
    using read = new Read(gpu, this.engine, ids.length, (probe.attributes ?? []).map((name) => `attribute.${name}`));
    const policy: Policy = { ...PLAIN, probe, aggregate };
    for (let from = 0, i = 0;; i++) {
      const tokens = ids.slice(from, from + sizes[Math.min(i, sizes.length - 1)]!);
      from += tokens.length;
      const look = await read.chunk(tokens, { policy, queryRows: Math.min(probe.windowRows, tokens.length) });
      const evidence = await lookOf(by)(look);
      look.flush();
      look.moment.chunk!.release();
      if (from < ids.length) continue;
      const { slots } = read.memory, ends = new Uint32Array(slots.heads);
      // slots that are not asked for are no neighbours either
      gpu.write(slots.end, ends.fill(count));
      const scores = (by.kernel ? pooled("mean", (by.kernel - 1) / 2, false) : aggregateForms[aggregate.name]!)(
        look,
        evidence,
      );
      look.submit();
      return await read.perSlot(scores);
    }
  }

  async compress(scores: Scores, by: Compression): Promise<Compressed> {
    const { asked: { ids, decodeIds }, gpu, norms } = this, n = ids.length;
    using read = new Read(gpu, this.engine, n + decodeIds.length);
    const look = await read.chunk(ids, { policy: PLAIN, budget: by.budget }), { memory } = read, { slots } = memory;
    look.moment.chunk!.release();
    if (by.critical) norms!.record(look);
    const score = read.filled("score", scores), shielded = read.filled("shielded", by.protectedSlots);
    const guarded = slots.perHead("guarded");
    gpu.write(guarded, Uint32Array.from(by.protectedSlots, (row) => row.reduce((sum, one) => sum + one, 0)));
    const quota = quotasOf(look, score, by);
    const stays = { kept: slots.perSlot("kept"), count: slots.perHead("count") }, { start, end, source } = slots;
    const selection = { scores: score, shielded, guarded, source, start, end, quota, ...stays };
    (by.critical ? critical(by.critical) : selectForms["topk"]!)(look, selection);
    if (by.merge) {
      look.flush();
      // kvpress lets the window receive too
      read.filled("shielded", by.protectedSlots.map((row) => new Uint8Array(row.length)));
      recordMerge(look.recording, { ...buffers(look, stays, 1), mass: score }, {
        ...numbers(look),
        threshold: by.merge.threshold,
      });
    }
    look.flush();
    const perHead = async (buffer: GPUBuffer) => await gpu.read(buffer, new Uint32Array(slots.heads));
    const quotas = await perHead(quota), counts = await perHead(stays.count);
    const kept = await gpu.read(stays.kept, new Uint32Array(slots.heads * slots.stride));
    const stages = by.critical ? await stagesOf(read, slots) : null;
    const turns = await this.turns();
    const moving = { positions: by.positions, sinks: by.sinks, turns: () => turns, attributes: [] };
    const summary = recordMove(look.recording, memory, stays, moving);
    look.submit();
    const [, , longest, ...ends] = await gpu.read(summary, new Uint32Array(3 + this.config.layers));
    turns.destroy();
    memory.cache.end.set(ends);
    const starts = await perHead(slots.start), decodeStart = by.positions === "compact" ? longest! : n;
    return {
      // a head that has fewer keeps those
      quotas: quotas.map((slots) => Math.min(slots, n)),
      stages,
      keep: Array.from(counts, (count, head) => kept.subarray(head * slots.stride, head * slots.stride + count)),
      live: (await perHead(slots.end)).map((end, head) => end - starts[head]!),
      ...await read.rows(),
      start: decodeStart,
      logits: await read.decode(decodeIds, decodeStart),
    };
  }

  private async turns(): Promise<GPUBuffer> {
    const table = rotationTable(new Rope(this.config), this.config.trainedPositions);
    const buffer = await this.gpu.allocate(table.byteLength, "rotations");
    this.gpu.write(buffer, table);
    return buffer;
  }
}

/** Stages that a vector's take the place of. */
const PLAIN = parsePolicy("probe=none,aggregate=none,select=topk");

/** A cache on the device and what is read into it. */
class Read {
  readonly memory: GpuMemory;
  private tokensRead = 0;

  /** @param attributes what a probe remembers of every slot */
  constructor(
    private readonly gpu: Gpu,
    private readonly engine: WebgpuEngine,
    private readonly capacity: number,
    private readonly attributes: string[] = [],
  ) {
    const cache = new GpuKvCache(gpu.device, cacheShape(engine.config), capacity, engine.features.logBias);
    this.memory = { gpu, engine, cache, slots: new Slots(gpu, cache.heads, capacity) };
  }

  /** Forwards a chunk of the prompt, which becomes slots. @returns a look at the cache after it; `chunk` is to be released */
  async chunk(
    tokens: number[],
    { policy, queryRows = 0, budget = this.capacity }: { policy: Policy; queryRows?: number; budget?: number },
  ): Promise<Compaction> {
    const { memory, engine, tokensRead: first } = this, { cache } = memory, rows = tokens.length;
    const chunk = await engine.pass(cache, { tokens, firstPosition: first, queryRows });
    cache.append(rows);
    const read = this.tokensRead = first + rows;
    const moment: Moment = {
      policy,
      options: {
        budget: { slots: budget, capacity: this.capacity, bytes: cache.bytes, clampedFrom: null },
        chunkTokens: rows,
        reserve: 0,
        positions: "original",
        questionTokens: [],
        answerTokens: [],
        tokenizer: fakeTokenizer,
      },
      budget,
      mostSlots: Infinity,
      tokensRead: read,
      nextPosition: read,
      positionsLeft: Infinity,
      document: null,
      compactions: 0,
      memorySlots: 0,
      liveSlots: read,
      live: new Int32Array(cache.heads).fill(read),
      tokens,
      rows,
      chunk,
    };
    const look = new Compaction(memory, moment), attributes = this.attributes.map((name) => memory.slots.perSlot(name));
    recordLabels(look.recording, memory, { count: rows, source: first, position: first }, attributes);
    return look;
  }

  /** Forwards tokens one by one: their logits [tokens, vocab]. */
  async decode(tokens: number[], firstPosition: number): Promise<Float32Array> {
    const { engine, memory: { cache, gpu } } = this, { vocab } = engine.config;
    const logits = new Float32Array(tokens.length * vocab);
    for (const [i, token] of tokens.entries()) {
      const pass = { tokens: [token], firstPosition: firstPosition + i, logitsRows: 1 };
      const result = await engine.pass(cache, pass);
      cache.append(1);
      logits.set(await gpu.read(result.logits!, new Float32Array(vocab)), i * vocab);
      result.release();
    }
    return logits;
  }

  /** Numbers of every head's live slots. */
  async perSlot(buffer: GPUBuffer): Promise<Float32Array[]> {
    const { slots } = this.memory;
    return await liveOf(this.memory, buffer, new Float32Array(slots.heads * slots.stride));
  }

  /** Rows of every head's live slots, [live, headDim]. */
  async rows(): Promise<{ keys: Float32Array[]; values: Float32Array[] }> {
    const { gpu, memory: { cache, slots } } = this, { kvHeads, headDim } = cache.shape, width = cache.slotDim;
    const starts = await gpu.read(slots.start, new Uint32Array(slots.heads));
    const ends = await gpu.read(slots.end, new Uint32Array(slots.heads));
    const of = async (layers: GPUBuffer[]): Promise<Float32Array[]> => {
      const heads: Float32Array[] = [];
      for (const buffer of layers) {
        const all = await gpu.read(buffer, new Float32Array(kvHeads * cache.capacity * width));
        for (let h = 0; h < kvHeads; h++) {
          const first = starts[heads.length]!,
            live = ends[heads.length]! - first,
            rows = new Float32Array(live * headDim);
          for (let slot = 0; slot < live; slot++) {
            const at = (h * cache.capacity + first + slot) * width;
            rows.set(all.subarray(at, at + headDim), slot * headDim);
          }
          heads.push(rows);
        }
      }
      return heads;
    };
    return { keys: await of(cache.keys), values: await of(cache.values) };
  }

  /** An array of all slots with these rows of every head's first ones. */
  filled(name: string, rows: readonly (Float32Array | Uint8Array)[]): GPUBuffer {
    const { gpu, slots } = this.memory, buffer = slots.perSlot(name);
    rows.forEach((row, head) => {
      const numbers: Numbers = row instanceof Uint8Array ? Uint32Array.from(row) : Float32Array.from(row);
      gpu.write(buffer, numbers, 4 * head * slots.stride);
    });
    return buffer;
  }

  [Symbol.dispose](): void {
    this.memory.slots.close();
    this.memory.cache.close();
  }
}

function lookOf({ probe, sinks, lag: size, future }: Scoring): Look {
  if (size !== undefined) return lag(size, sinks);
  if (future !== undefined) return expected(future, sinks);
  // a window of any size has one form, which asks the probe how many rows
  return probeForm(probe.name.startsWith("window") ? "window" : probe.name)!;
}

function quotasOf(look: Compaction, scores: GPUBuffer, { quotas: by }: Compression): GPUBuffer {
  if (by.kind === "uniform") return allocateForms["uniform"]!(look, scores, 0).quota;
  if (by.kind === "ada") return competing(false, by.share)(look, scores, 0).quota;
  // computed on the CPU on every device
  const quota = look.memory.slots.perHead("quota");
  look.memory.gpu.write(quota, Uint32Array.from(by.quotas));
  return quota;
}

/** What the two stages of `critical` left: the second's scores, and what the first took. */
async function stagesOf(read: Read, slots: Slots) {
  const final = await read.perSlot(slots.perSlot("select.final"));
  const marked = await liveOf(read.memory, slots.perSlot("select.marked"), new Int32Array(slots.heads * slots.stride));
  return final.map((row, head) => ({ final: row, taken: marked[head]! }));
}
