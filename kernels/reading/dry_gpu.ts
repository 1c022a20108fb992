/**
 * A GPU that runs nothing and writes down what it was asked to run: with it, a real `GpuReading` of any shape lists the kernels that its policy records,
 * and its `memory` what it would allocate, so nobody counts by hand.
 */
import type { GpuPass, GpuPassResult, WebgpuEngine } from "../../core/engine/webgpu.ts";
import { cachedLayers } from "../../core/engine/layers.ts";
import type { ModelConfig } from "../../core/engine/weights.ts";
import { EmbeddingTable } from "../../core/pack/embeddings.ts";
import type { Packs } from "../../core/pack/packs.ts";
import { NO_FEATURES } from "../../core/engine/features.ts";
import { BIAS_DIMS, type GpuKvCache } from "../../core/gpu_cache.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import { Gpu, type Numbers } from "../gpu.ts";
import type { AnyKernel } from "../kernel.ts";
import { Recording } from "../recording.ts";

/** A kernel that would have run. */
export interface Launch {
  name: string;
  values: Record<string, number>;
  workgroups: number;
  threads: number;
}

/** What was asked for since `restart`. */
export interface Asked {
  launches: Launch[];
  /** Rows of every forward pass. */
  passes: number[];
  /** Bytes read back. */
  readBack: number;
  submits: number;
}

const LIMITS = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 2 ** 31,
  maxBufferSize: 2 ** 32,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Takes every call and answers with itself. */
const anything: never = new Proxy(() => {}, {
  get: (_, name) => name === "then" ? undefined : anything,
  apply: () => anything,
}) as never;

function dryDevice(): GPUDevice {
  const buffer = ({ size, usage }: { size: number; usage: number }) => ({ size, usage, destroy() {} });
  const known: Record<string, unknown> = {
    lost: new Promise(() => {}),
    limits: LIMITS,
    createBuffer: buffer,
    popErrorScope: () => Promise.resolve(null),
  };
  return new Proxy({}, {
    get: (_, name) => known[name as string] ?? anything,
    set: (_, name, value) => (known[name as string] = value, true),
  }) as GPUDevice;
}

export class DryGpu extends Gpu {
  asked: Asked = { launches: [], passes: [], readBack: 0, submits: 0 };

  /** @param reads fills what a reader wants to know */
  constructor(private readonly reads: (into: Numbers) => void) {
    super(dryDevice(), { name: "dry run", vendor: "", kind: "hardware", features: [], limits: LIMITS });
  }

  restart(): void {
    this.asked = { launches: [], passes: [], readBack: 0, submits: 0 };
  }

  override record(): Recording {
    return new DryRecording(this);
  }

  override read<T extends Numbers>(_buffer: GPUBuffer, into: T): Promise<T> {
    this.reads(into);
    this.asked.readBack += into.byteLength;
    return Promise.resolve(into);
  }
}

class DryRecording extends Recording {
  constructor(private readonly dry: DryGpu) {
    super(dry);
  }

  override dispatch(kernel: AnyKernel, buffers: Record<string, GPUBuffer>, values: Record<string, number>): void {
    const before = this.dispatches;
    super.dispatch(kernel, buffers, values);
    if (this.dispatches === before) return; // nothing to do
    const { threads } = this.dry.launches.launch(kernel, values, this.dry.kvType);
    const workgroups = kernel.grid(values, threads).reduce((a: number, b) => a * b, 1);
    this.dry.asked.launches.push({ name: kernel.name, values, workgroups, threads });
  }

  override submit(): void {
    super.submit();
    this.dry.asked.submits++;
  }
}

/** As many rows as packs have, of nothing. */
function fakePacks(config: ModelConfig): Packs {
  const { hidden, heads, kvHeads, headDim } = config, layers = cachedLayers(config).length;
  const header = {
    path: "",
    sha256: "",
    fingerprint: "",
    model: "",
    data: "",
    seed: "",
    validation: {},
    parameters: {},
  };
  const tokens = new Float32Array(32 * hidden);
  const table = new EmbeddingTable({ type: "F32", bytes: new Uint8Array(4 * 4 * hidden) }, hidden);
  const mixed = 44, size = 512, width = 64, zeros = (numbers: number) => new Float32Array(numbers);
  return {
    judgeq: { header: { ...header, method: "judgeq" }, tokens, count: 32, offset: 0 },
    metasoft: {
      header: { ...header, method: "metasoft" },
      table,
      hidden,
      count: mixed,
      size,
      width,
      chosen: 8,
      offset: 0,
      hearsQuestion: false,
      tokens: zeros(mixed * hidden),
      copy: zeros(12),
      salience: null,
      library: zeros(size * hidden),
      scale: 1,
      query: zeros(mixed * width),
      key: zeros(width * hidden),
      place: zeros(3 * width),
      value: zeros(width * hidden),
      output: zeros(size * width),
      bias: zeros(mixed * size),
    },
    indexmem: {
      header: { ...header, method: "indexmem" },
      indexDim: 4,
      rank: 32,
      layers: Array.from({ length: layers }, () => ({
        indexer: {
          heads: Math.ceil(heads / 2),
          dim: 4,
          groups: kvHeads,
          age: zeros(kvHeads),
          query: zeros(Math.ceil(heads / 2) * 4 * heads * headDim),
          key: zeros(4 * hidden),
          keyBias: zeros(4),
          weight: zeros(kvHeads * Math.ceil(heads / 2) * hidden),
          weightBias: zeros(kvHeads * Math.ceil(heads / 2)),
          queryNorm: { weight: zeros(4), bias: zeros(4) },
          keyNorm: { weight: zeros(4), bias: zeros(4) },
        },
        latent: { phi: zeros(headDim * 32), gate: 0, write: 0, decay: 1 },
      })),
    },
  };
}

/** @param wide slots have a bias @param kvType what the cache stores @param packs those that are known already */
export function dryEngine(
  gpu: DryGpu,
  config: ModelConfig,
  { wide, kvType = "f32" }: { wide: boolean; kvType?: StoredType },
  packs: Packs = {},
): WebgpuEngine {
  const buffer = gpu.device.createBuffer({ size: 16, usage: 0 });
  const perLayer = Array.from({ length: config.layers }, () => buffer);
  return {
    config,
    features: { ...NO_FEATURES, logBias: wide, kvType },
    packs: { ...fakePacks(config), ...packs },
    device: gpu.device,
    slotDim: config.headDim + (wide ? BIAS_DIMS : 0),
    pass: (cache: GpuKvCache, { tokens, soft, logitsRows = 0 }: GpuPass): Promise<GpuPassResult> => {
      const rows = tokens.length + (soft?.count ?? 0);
      gpu.asked.passes.push(rows);
      if (cache.int8) cache.store({ keys: perLayer, values: perLayer, count: rows });
      return Promise.resolve({
        logits: logitsRows > 0 ? buffer : null,
        queries: perLayer,
        rawQueries: perLayer,
        hidden: null,
        normed: perLayer,
        releaseLogits() {},
        release() {},
      });
    },
  } as unknown as WebgpuEngine;
}
