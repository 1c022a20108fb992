/**
 * The engine on a GPU: ONNX Runtime's WebGPU device over a `GPUDevice` that our kernels share. A pass writes its rows into the cache in place; what it
 * gives stays on the GPU: nothing is read back here.
 */
import type { InferenceSession, Tensor } from "onnxruntime-common";
import type { FileSystem } from "../files.ts";
import { attentionSelfTest, TESTED_WINDOW } from "./attention_self_test.ts";
import { DeviceError } from "../errors.ts";
import { BIAS_DIMS, computedIn, type GpuKvCache } from "../gpu_cache.ts";
import { Rope, slidingRope } from "../rope.ts";
import type { OnnxRuntime } from "./cpu.ts";
import { FEW_ROWS } from "./attention.ts";
import type { EmbeddingRows } from "./engine.ts";
import type { GraphFeatures } from "./features.ts";
import { givesQueries, givesRawQueries, slotDim, webgpuNames as names, wideInputs } from "./graph_webgpu.ts";
import { type GpuFeed, pastFeeds, sharedFeeds } from "./gpu_past.ts";
import { cachedLayers, slidingLayers } from "./layers.ts";
import { SOFT_ROWS } from "./llama_blocks.ts";
import type { Packs } from "../pack/packs.ts";
import type { PreparedModel } from "./prepare.ts";
import type { ModelConfig } from "./weights.ts";

/** One forward pass: S rows behind the live slots of the cache. */
export interface GpuPass {
  /** Token ids of the S rows. */
  tokens: ArrayLike<number>;
  /** RoPE index of the first row; the others follow. */
  firstPosition: number;
  /** More rows behind those of the tokens, which do not see them; with that feature. S counts them. */
  soft?: EmbeddingRows | undefined;
  /** Rotated queries of the last so many rows are wanted. Default 0. */
  queryRows?: number;
  /** Logits of the last so many rows are wanted. Default 0. */
  logitsRows?: number;
  /** A latent memory that attention reads, with that feature. Default: one that holds nothing. */
  latent?: GpuLatent | null;
}

/** A latent memory's state and weights, as `latent_readout.ts` takes them, of rank r. */
export interface GpuLatent {
  rank: number;
  phi: GPUBuffer;
  gate: GPUBuffer;
  sums: GPUBuffer;
  norms: GPUBuffer;
}

/** Tensors on the GPU belong to ONNX Runtime until `release`; a buffer may be larger than its tensor. */
export interface GpuPassResult {
  /** float32 [logitsRows, vocab]. */
  logits: GPUBuffer | null;
  /** Per cached layer float32 [queryRows, heads * slotDim of the cache], rotated; null without `queryRows` or the features that give queries. */
  queries: GPUBuffer[] | null;
  /** Per cached layer float32 [S, heads * slotDim], before rotation, with the features `queryMoments` or `indexer`. */
  rawQueries: GPUBuffer[] | null;
  /** Residual stream: per layer float32 [S, hidden], the last [logitsRows, hidden] after the final norm; with the feature `hidden`. */
  hidden: GPUBuffer[] | null;
  /** Per cached layer float32 [S, hidden] behind the first norm, with the feature `indexer`. */
  normed: GPUBuffer[] | null;
  /** Gives the logits back, before the others; nothing where there are none. */
  releaseLogits(): void;
  /** Gives all buffers back. */
  release(): void;
}

/** Opens the model on `device`. @throws {DeviceError} when ONNX Runtime cannot run every node of it there, or computes attention wrongly */
export async function openWebgpu(
  runtime: OnnxRuntime,
  device: GPUDevice,
  files: FileSystem,
  prepared: PreparedModel,
  config: ModelConfig,
  features: GraphFeatures,
  packs: Packs = {},
): Promise<WebgpuEngine> {
  let session: InferenceSession;
  try {
    const group = config.heads / config.kvHeads, type = computedIn(features.kvType);
    await attentionSelfTest(runtime, device, slotDim(config, features), group, type);
    if (config.slidingWindow) await attentionSelfTest(runtime, device, config.headDim, group, type, TESTED_WINDOW);
    session = await runtime.InferenceSession.create(await files.readFile(prepared.graphPath), {
      executionProviders: [{ name: "webgpu", device } as InferenceSession.WebGpuExecutionProviderOption],
      preferredOutputLocation: "gpu-buffer",
      logSeverityLevel: 3,
      externalData: [{ path: prepared.weightsName, data: await files.readFile(prepared.weightsPath) }],
      // a node that the GPU cannot run would else run on the CPU without a word, and the cache would cross the bus for it
      extra: { session: { disable_cpu_ep_fallback: "1" } },
    });
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeviceError(`ONNX Runtime's WebGPU device cannot open ${prepared.graphPath}: ${reason}`, {
      cause: error,
    });
  }
  return new WebgpuEngine(config, features, device, session, runtime.Tensor, packs);
}

const rowsOf = ({ tokens, soft }: GpuPass) => tokens.length + (soft?.count ?? 0);

export class WebgpuEngine {
  private readonly rope: Rope;
  private readonly slidingRope: Rope | null;
  private readonly cached: number[];
  private readonly sliding: number[];
  /** int32 per layer: the last slot that the pass fills. */
  private readonly last: GPUBuffer[];
  private nothing: GPUBuffer | null = null;

  constructor(
    readonly config: ModelConfig,
    readonly features: GraphFeatures,
    readonly device: GPUDevice,
    private readonly session: InferenceSession,
    private readonly tensor: OnnxRuntime["Tensor"],
    readonly packs: Packs = {},
  ) {
    this.rope = new Rope(config);
    this.slidingRope = slidingRope(config);
    this.cached = cachedLayers(config);
    this.sliding = slidingLayers(config);
    const usage = 0x80 | 0x04 | 0x08; // STORAGE, COPY_SRC, COPY_DST
    this.last = Array.from({ length: config.layers }, () => device.createBuffer({ size: 16, usage }));
  }

  /** Numbers of a slot in the cache that its passes take. */
  get slotDim(): number {
    return slotDim(this.config, this.features);
  }

  /**
   * Forwards S rows and writes their keys and values behind the live slots of `cache`, whose `append` makes them live; a pass that is not appended leaves no
   * trace, as the next one writes over it.
   */
  async pass(cache: GpuKvCache, pass: GpuPass): Promise<GpuPassResult> {
    const { config, features } = this, rows = rowsOf(pass), logitsRows = pass.logitsRows ?? 0;
    const queryRows = givesQueries(features) ? pass.queryRows ?? 0 : 0;
    if (cache.slotDim !== this.slotDim) {
      throw new Error(`The cache's slots have ${cache.slotDim} numbers, and the graph was written for ${this.slotDim}`);
    }
    if (cache.type !== this.features.kvType) {
      throw new Error(`The cache stores ${cache.type}, and the graph was written for ${this.features.kvType}`);
    }
    if (cache.keys.length !== this.cached.length || (cache.sliding?.keys.length ?? 0) !== this.sliding.length) {
      throw new Error(`The cache has ${cache.keys.length} layers, and the model wants ${this.cached.length}`);
    }
    if (rows > cache.free) throw new Error(`${rows} rows do not fit: ${cache.free} slots of the cache are free`);
    cache.sliding?.reserve(rows);
    const { feeds, fetches } = this.tensors(cache, pass);
    const logits = logitsRows > 0 ? ["logits"] : [];
    const perLayer = (name: (layer: number) => string) => this.cached.map(name);
    const queries = queryRows > 0 ? perLayer(names.query) : [];
    const rawQueries = givesRawQueries(features) ? perLayer(names.rawQuery) : [];
    const hidden = features.hidden
      ? Array.from({ length: config.layers + (logitsRows > 0 ? 1 : 0) }, (_, layer) => names.hidden(layer))
      : [];
    const normed = features.indexer ? perLayer(names.normed) : [];
    const given = [...logits, ...queries, ...rawQueries, ...hidden, ...normed];
    const newKeys = cache.int8 ? perLayer(names.newKey) : [], newValues = cache.int8 ? perLayer(names.newValue) : [];
    for (const name of [...given, ...newKeys, ...newValues]) fetches[name] = null;

    let results: Record<string, Tensor>;
    try {
      results = await this.session.run(feeds, fetches) as Record<string, Tensor>;
    } catch (error) {
      const reason = String(error instanceof Error ? error.message : error).split("\n")[0]!;
      throw new DeviceError(`The forward pass failed on the GPU: ${reason}`, { cause: error });
    }
    const all = (wanted: string[]) => wanted.map((name) => results[name]!.gpuBuffer as unknown as GPUBuffer);
    const buffers = (wanted: string[]) => wanted.length > 0 ? all(wanted) : null;
    if (cache.int8) {
      cache.store({ keys: all(newKeys), values: all(newValues), count: rows });
      for (const name of [...newKeys, ...newValues]) results[name]!.dispose();
    }
    return {
      logits: buffers(logits)?.[0] ?? null,
      queries: buffers(queries),
      rawQueries: buffers(rawQueries),
      hidden: buffers(hidden),
      normed: buffers(normed),
      releaseLogits: () => results["logits"]?.dispose(),
      release: () => {
        for (const name of given) results[name]!.dispose();
      },
    };
  }

  async close(): Promise<void> {
    await this.session.release();
    for (const buffer of this.last) buffer.destroy();
    this.nothing?.destroy();
  }

  private tensors(cache: GpuKvCache, pass: GpuPass) {
    const { config, features } = this, { headDim, kvHeads, hidden } = config, rows = rowsOf(pass);
    const { cos, sin } = this.rope.rowsOf(pass);
    const count = (wanted = 0) => Array.from({ length: wanted }, (_, i) => rows - wanted + i);
    const wanted = count(pass.logitsRows);
    const feeds: Record<string, Tensor> = {
      input_ids: this.int64(Array.from(pass.tokens), [1, pass.tokens.length]),
      position_ids: this.int64(count(rows), [1, rows]),
      cos: this.stored(cos, [rows, headDim / 2]),
      sin: this.stored(sin, [rows, headDim / 2]),
      logits_rows: this.int64(wanted, [wanted.length]),
    };
    if (features.embeddings) {
      const { embeddings = new Float32Array(0), count = 0 } = pass.soft ?? {};
      feeds[SOFT_ROWS] = this.floats(embeddings, [1, count, hidden]);
    }
    if (givesQueries(features)) feeds["query_start"] = this.int64([rows - (pass.queryRows ?? 0)], [1]);
    if (features.logBias) {
      for (const { name, heads, queries } of wideInputs(config)) {
        const more = new Float32Array(rows * heads * BIAS_DIMS);
        for (let row = 0; row < rows; row++) {
          for (let head = 0; head < queries; head++) {
            const at = (row * heads + head) * BIAS_DIMS;
            // slots' biases count where few rows look (`attention.ts`); what is hidden is hidden from all
            if (rows <= FEW_ROWS) more[at] = Math.sqrt(headDim);
            more[at + 1] = Math.sqrt(headDim);
          }
        }
        feeds[name] = this.floats(more, [1, rows, heads, BIAS_DIMS]);
      }
    }
    if (features.readout) Object.assign(feeds, this.latent(pass.latent ?? null));
    const fetches: Record<string, Tensor | null> = {};
    const slots = [1, kvHeads, cache.capacity, cache.slotDim];
    const stored = computedIn(cache.type) === "f16" ? "float16" : "float32";
    const endsAt = (layer: number, end: number) => {
      const total = end + rows;
      this.device.queue.writeBuffer(this.last[layer]!, 0, Int32Array.of(total - 1));
      feeds[names.last(layer)] = this.onGpu(this.last[layer]!, [1], "int32");
      feeds[names.total(layer)] = new this.tensor("int32", Int32Array.of(total), [1]);
    };
    /** @param pools keys and values of the layer, which end at `end` */
    const attends = (layer: number, end: number, slots: number[], ...pools: [GPUBuffer, GPUBuffer]) => {
      const [keys, values] = pools;
      endsAt(layer, end);
      // the same tensor in and out: rows are written in place
      fetches[names.presentKey(layer)] = feeds[names.pastKey(layer)] = this.onGpu(keys, slots, stored);
      fetches[names.presentValue(layer)] = feeds[names.pastValue(layer)] = this.onGpu(values, slots, stored);
    };
    const put = (inputs: GpuFeed[]) => {
      for (const [name, type, buffer, dims] of inputs) feeds[name] = this.onGpu(buffer, dims, type);
    };
    if (cache.int8) put(sharedFeeds(cache));
    this.cached.forEach((layer, i) => {
      const end = cache.end[i]!;
      if (!cache.int8) return attends(layer, end, slots, cache.keys[i]!, cache.values[i]!);
      endsAt(layer, end);
      put(pastFeeds(cache, i, names.pastKey(layer), names.pastValue(layer)));
    });
    const { sliding } = cache;
    if (sliding) {
      const { tokens, firstPosition, soft } = pass, { shift, end, keys, values } = sliding;
      const { cos, sin } = this.slidingRope!.rowsOf({
        tokens,
        firstPosition: firstPosition + shift,
        soft: soft && { ...soft, firstPosition: soft.firstPosition + shift },
      });
      feeds[names.slidingCos] = this.stored(cos, [rows, headDim / 2]);
      feeds[names.slidingSin] = this.stored(sin, [rows, headDim / 2]);
      const own = [1, kvHeads, sliding.capacity, headDim];
      this.sliding.forEach((layer, i) => attends(layer, end, own, keys[i]!, values[i]!));
    }
    return { feeds, fetches };
  }

  /** Of rank 1 and all zeros where there is no memory. */
  private latent(memory: GpuLatent | null): Record<string, Tensor> {
    const { kvHeads, headDim } = this.config, layers = this.cached.length, heads = layers * kvHeads;
    this.nothing ??= this.device.createBuffer({ size: 16 * Math.ceil(heads * headDim / 4), usage: 0x80 | 0x04 | 0x08 });
    const { rank, phi, gate, sums, norms } = memory ??
      { rank: 1, phi: this.nothing, gate: this.nothing, sums: this.nothing, norms: this.nothing };
    return {
      "latent.phi": this.onGpu(phi, [layers, headDim, rank]),
      "latent.gate": this.onGpu(gate, [layers, 1, 1]),
      "latent.sums": this.onGpu(sums, [heads, rank, headDim]),
      "latent.norms": this.onGpu(norms, [heads, rank, 1]),
    };
  }

  private onGpu(
    buffer: GPUBuffer,
    dims: number[],
    dataType: "float32" | "float16" | "int32" | "uint8" = "float32",
  ): Tensor {
    return this.tensor.fromGpuBuffer(buffer as never, { dataType, dims });
  }

  private floats(data: Float32Array, dims: number[]): Tensor {
    return new this.tensor("float32", data, dims);
  }

  /** In what attention computes. */
  private stored(data: Float32Array, dims: number[]): Tensor {
    if (computedIn(this.features.kvType) === "f32") return this.floats(data, dims);
    return new this.tensor("float16", new Uint16Array(Float16Array.from(data).buffer), dims);
  }

  private int64(values: number[], dims: number[]): Tensor {
    return new this.tensor("int64", BigInt64Array.from(values, BigInt), dims);
  }
}
