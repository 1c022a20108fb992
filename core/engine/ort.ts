/** The engine over ONNX Runtime's JavaScript interface, which its native (`cpu.ts`) and WebAssembly (`wasm.ts`) builds share. */
import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";
import type { KvCache } from "../cache.ts";
import { DeviceError } from "../errors.ts";
import type { Packs } from "../pack/packs.ts";
import { LatentState } from "../compensate/latent_state.ts";
import { Rope, slidingRope } from "../rope.ts";
import type { SlidingRows } from "../sliding_rows.ts";
import { FEW_ROWS } from "./attention.ts";
import type { Dense, DenseTensor, Device, Engine, IndexFacts, Pass, PassResult } from "./engine.ts";
import type { GraphFeatures } from "./features.ts";
import { names } from "./graph_llama.ts";
import { SOFT_ROWS } from "./llama_blocks.ts";
import { cachedLayers, slidingLayers } from "./layers.ts";
import { INDEX_EVERY, INDEX_START, indexerFeeds, indexOutputs, WANT_INDEX } from "./indexer_facts.ts";
import { latentFeeds, latentWeights } from "./latent_readout.ts";
import { NEWEST } from "./newest_mass.ts";
import type { ElementType } from "./onnx.ts";
import { pastFeeds } from "./stored_past.ts";
import type { StoredRun } from "../stored_rows.ts";
import type { ModelConfig } from "./weights.ts";

/** Additive mask for what a row may not see. */
const HIDDEN = -1e9;
const NONE = new Float32Array(0);

export class OrtEngine implements Engine {
  private readonly rope: Rope;
  private readonly slidingRope: Rope | null;
  private readonly cached: number[];
  private readonly sliding: number[];
  private readonly heads: number;
  private weights: Record<string, Tensor> | null = null;
  private noMemory: LatentState | null = null;
  private readonly denses = new Map<string, Promise<InferenceSession>>();

  constructor(
    readonly config: ModelConfig,
    readonly device: Device,
    readonly features: GraphFeatures,
    private readonly session: InferenceSession,
    private readonly tensor: TensorConstructor,
    private readonly openDense: (graph: Uint8Array<ArrayBuffer>) => Promise<InferenceSession>,
    readonly packs: Packs,
  ) {
    this.rope = new Rope(config);
    this.slidingRope = slidingRope(config);
    this.cached = cachedLayers(config);
    this.sliding = slidingLayers(config);
    this.heads = this.cached.length * config.kvHeads;
  }

  async pass(cache: KvCache, pass: Pass): Promise<PassResult> {
    const { config, heads } = this, { kvHeads, headDim } = config;
    if (cache.heads !== heads || (cache.sliding?.heads ?? 0) !== this.sliding.length * kvHeads) {
      throw new Error(`The cache has ${cache.heads} heads, and the model wants ${heads}: it is made for other layers`);
    }
    if (cache.type !== this.features.kvType) {
      throw new Error(`The cache stores ${cache.type}, and the graph was written for ${this.features.kvType}`);
    }
    const softRows = pass.soft?.count ?? 0, rows = pass.tokens.length + softRows;
    if (softRows > 0 && !this.features.embeddings) throw new Error("The graph takes no rows that are no tokens");
    const scoreRows = pass.scoreRows ?? 0, logitsRows = pass.logitsRows ?? 0;
    // decomposed attention scores all of its rows, and its rows see all of each other
    const small = rows <= Math.min(FEW_ROWS, config.slidingWindow?.tokens ?? Infinity) &&
      (scoreRows === 0 || scoreRows === rows);
    const group = config.heads / kvHeads;
    const { cos, sin } = this.rope.rowsOf(pass);

    const feeds: Record<string, Tensor> = {
      input_ids: this.int64(Array.from(pass.tokens), [1, pass.tokens.length]),
      position_ids: this.int64(Array.from({ length: rows }, (_, i) => i), [1, rows]),
      cos: this.floats(cos, [rows, headDim / 2]),
      sin: this.floats(sin, [rows, headDim / 2]),
      small: this.flag(small),
      small_mask: small ? this.mask(group, rows, rows) : this.mask(group, 0, rows),
      want_logits: this.flag(logitsRows > 0),
      logits_start: this.int64([rows - logitsRows], [1]),
    };
    if (this.features.embeddings) {
      feeds[SOFT_ROWS] = this.floats(pass.soft?.embeddings ?? NONE, [1, softRows, config.hidden]);
    }
    const { features } = this, facts = pass.factsFrom !== undefined;
    if (features.valueNorms || features.queryMoments) feeds["facts"] = this.flag(facts);
    if (features.queryMoments) feeds["facts_start"] = this.int64([pass.factsFrom ?? 0], [1]);
    const wantsIndex = features.indexer && pass.indexRows !== undefined;
    if (features.indexer) {
      feeds[WANT_INDEX] = this.flag(wantsIndex);
      const { indexRows = 0, indexEvery = 1 } = pass;
      feeds[INDEX_START] = this.int64([indexRows > 0 ? rows - 1 - (indexRows - 1) * indexEvery : rows], [1]);
      feeds[INDEX_EVERY] = this.int64([indexEvery], [1]);
    }
    Object.assign(feeds, this.weightTensors());
    if (features.readout) Object.assign(feeds, this.latentTensors(cache.latent));
    const newest = features.newestMass ? pass.newestSlots ?? 0 : 0;
    if (newest > 0 && !small) throw new Error(`${rows} rows are too many for their attention to the newest slots`);
    if (features.newestMass) feeds["newest_start"] = this.int64([-Math.max(1, newest)], [1]);
    if (features.mass.length > 0) {
      feeds["score"] = this.flag(scoreRows > 0);
      feeds["score_start"] = this.int64([rows - scoreRows], [1]);
      feeds["score_mask"] = this.mask(group, small ? 0 : scoreRows, rows);
    }
    for (let head = 0; head < heads; head++) {
      const layer = this.cached[Math.floor(head / kvHeads)]!,
        h = head % kvHeads,
        { keys, values } = cache.storedRows(head);
      for (
        const [name, type, data, dims] of [
          ...pastFeeds(names.pastKey(layer, h), cache.type, keys, headDim),
          ...pastFeeds(names.pastValue(layer, h), cache.type, values, headDim),
        ]
      ) feeds[name] = this.stored(type, data, dims);
      if (features.logBias) {
        const live = cache.live[head]!;
        const bias = cache.has("logBias") ? cache.attribute("logBias", head) : new Float32Array(live);
        feeds[names.pastBias(layer, h)] = this.floats(bias, [1, 1, 1, live]);
      }
    }

    if (cache.sliding) Object.assign(feeds, this.slidingTensors(cache.sliding, pass, rows, small));

    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await this.session.run(feeds);
    } catch (error) {
      throw new DeviceError(`The forward pass failed on ${this.device.name}: ${firstLine(error)}`, { cause: error });
    }
    const take = (name: string) => (results[name] as Tensor).data as Float32Array;
    const perHead = (name: (layer: number, head: number) => string, layers = this.cached) =>
      layers.flatMap((layer) => Array.from({ length: kvHeads }, (_, head) => take(name(layer, head))));
    return {
      keys: perHead(names.newKey, [...this.cached, ...this.sliding]),
      values: perHead(names.newValue, [...this.cached, ...this.sliding]),
      mass: scoreRows > 0
        ? Object.fromEntries(features.mass.map((aggregation) => [aggregation, perHead(names.mass(aggregation))]))
        : null,
      newestMass: newest > 0 ? take(NEWEST) : null,
      valueNorms: facts && features.valueNorms ? perHead(names.valueNorm) : null,
      queryMoments: facts && features.queryMoments
        ? this.cached.map((layer) => ({
          rows: rows - pass.factsFrom!,
          sum: take(names.querySum(layer)),
          outer: take(names.queryOuter(layer)),
        }))
        : null,
      index: wantsIndex ? this.indexFacts(take, rows, pass.indexRows!) : null,
      logits: logitsRows > 0 ? take("logits") : null,
      hidden: this.features.hidden
        ? Array.from({ length: config.layers + 1 }, (_, layer) => take(`hidden.${layer}`))
        : null,
    };
  }

  dense(name: string, write: () => Uint8Array<ArrayBuffer>): Promise<Dense> {
    let opened = this.denses.get(name);
    if (!opened) this.denses.set(name, opened = this.openDense(write()));
    return opened.then((session) => ({ run: (inputs) => this.runDense(session, inputs) }));
  }

  private async runDense(session: InferenceSession, inputs: Record<string, DenseTensor>) {
    const feeds: Record<string, Tensor> = {};
    for (const [name, { data, dims }] of Object.entries(inputs)) {
      const type = data instanceof Float32Array ? "float32" : data instanceof Int32Array ? "int32" : "int64";
      feeds[name] = new this.tensor(type, data as Float32Array, dims);
    }
    const results = await session.run(feeds), outputs: Record<string, DenseTensor> = {};
    for (const [name, { data, dims }] of Object.entries(results)) {
      outputs[name] = { data: data as DenseTensor["data"], dims };
    }
    return outputs;
  }

  async close(): Promise<void> {
    for (const opened of this.denses.values()) await (await opened).release();
    await this.session.release();
  }

  /** What the joined outputs hold of each layer. */
  private indexFacts(take: (name: string) => Float32Array, rows: number, asking: number): IndexFacts[] {
    const [keys, queries, weights] = indexOutputs.map(take) as [Float32Array, Float32Array, Float32Array];
    return this.indexmem.layers.map(({ indexer: { heads, dim, groups, age } }, layer) => {
      const part = (all: Float32Array, size: number) => all.subarray(layer * size, (layer + 1) * size);
      return {
        heads,
        dim,
        groups,
        age,
        keys: part(keys, rows * dim),
        queries: part(queries, heads * asking * dim),
        weights: part(weights, asking * groups * heads),
      };
    });
  }

  private get indexmem() {
    const { indexmem } = this.packs;
    if (!indexmem) {
      throw new Error("The graph computes with the pack of indexmem, and the engine was opened without it");
    }
    return indexmem;
  }

  /** The pack's weights that the graph takes, made once. */
  private weightTensors(): Record<string, Tensor> {
    const { features: { indexer, readout }, config: { headDim } } = this;
    if (!indexer && !readout) return {};
    const { layers } = this.indexmem;
    return this.weights ??= this.tensors({
      ...(indexer ? indexerFeeds(layers.map(({ indexer }) => indexer)) : {}),
      ...(readout ? latentWeights(layers.map(({ latent }) => latent), headDim) : {}),
    });
  }

  /** The memory of a cache that has one and shows it; else one that holds nothing. */
  private latentTensors(state: LatentState | null): Record<string, Tensor> {
    const { heads, config: { headDim } } = this;
    const nothing = () => this.noMemory ??= new LatentState(heads, this.indexmem.rank, headDim);
    return this.tensors(latentFeeds(state?.visible ? state : nothing()));
  }

  /** What sliding layers take: rows of the newest tokens, positions of their own, and what few rows do not see of them. */
  private slidingTensors(sliding: SlidingRows, pass: Pass, rows: number, small: boolean): Record<string, Tensor> {
    const { kvHeads, headDim, heads, slidingWindow } = this.config, { live, shift } = sliding;
    const { tokens, firstPosition, soft } = pass;
    const { cos, sin } = this.slidingRope!.rowsOf({
      tokens,
      firstPosition: firstPosition + shift,
      soft: soft && { ...soft, firstPosition: soft.firstPosition + shift },
    });
    const feeds: Record<string, Tensor> = {
      [names.slidingCos]: this.floats(cos, [rows, headDim / 2]),
      [names.slidingSin]: this.floats(sin, [rows, headDim / 2]),
      [names.slidingMask]: this.slidingMask(small ? heads / kvHeads : 0, rows, live, slidingWindow!.tokens),
    };
    for (let head = 0; head < sliding.heads; head++) {
      const layer = this.sliding[Math.floor(head / kvHeads)]!, h = head % kvHeads, dims = [1, 1, live, headDim];
      feeds[names.pastKey(layer, h)] = this.floats(sliding.keyRows(head), dims);
      feeds[names.pastValue(layer, h)] = this.floats(sliding.valueRows(head), dims);
    }
    return feeds;
  }

  /** [1, 1, group * rows, live]: a row sees the newest rows only, so many as the window has with those of the pass up to itself. */
  private slidingMask(group: number, rows: number, live: number, window: number): Tensor {
    const mask = new Float32Array(group * rows * live);
    for (let row = 0; row < group * rows; row++) {
      const hidden = live + row % rows + 1 - window;
      if (hidden > 0) mask.fill(HIDDEN, row * live, row * live + Math.min(hidden, live));
    }
    return this.floats(mask, [1, 1, group * rows, live]);
  }

  private tensors(feeds: Record<string, DenseTensor>): Record<string, Tensor> {
    const all = Object.entries(feeds).map((
      [name, { data, dims }],
    ) => [name, this.floats(data as Float32Array, [...dims])]);
    return Object.fromEntries(all);
  }

  private floats(data: Float32Array, dims: number[]): Tensor {
    return new this.tensor("float32", data, dims);
  }

  /** Halves go as their bits: where there is a `Float16Array`, tensors of float16 become one, of which addons of Bun and Deno see no bytes. */
  private stored(type: ElementType, data: StoredRun["data"], dims: number[]): Tensor {
    if (data instanceof Float16Array) {
      const bits = new Uint16Array(data.buffer, data.byteOffset, data.length);
      return Object.assign(new this.tensor("uint16", bits, dims), { type: "float16" as const });
    }
    return new this.tensor(type as "float32", data as Float32Array, dims);
  }

  private int64(values: number[], dims: number[]): Tensor {
    return new this.tensor("int64", BigInt64Array.from(values, BigInt), dims);
  }

  private flag(value: boolean): Tensor {
    return new this.tensor("bool", Uint8Array.of(value ? 1 : 0), [1]);
  }

  /** [group * used, rows]: the last `used` rows of a pass see the new rows up to themselves. */
  private mask(group: number, used: number, rows: number): Tensor {
    const mask = new Float32Array(group * used * rows);
    for (let g = 0; g < group; g++) {
      for (let r = 0; r < used; r++) {
        const at = (g * used + r) * rows;
        mask.fill(HIDDEN, at + rows - used + r + 1, at + rows);
      }
    }
    return this.floats(mask, [group * used, rows]);
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0]!;
}
