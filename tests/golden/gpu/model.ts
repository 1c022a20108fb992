/** Models on a GPU: opened through the tool's loader, graph writer and WebGPU engine, and forwarded with the cache on the device. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadOnnxRuntimeWebGpu } from "../../../cli/runtimes/webgpu_onnx.ts";
import { cacheShape } from "../../../core/engine/layers.ts";
import { type GraphFeatures, NO_FEATURES } from "../../../core/engine/features.ts";
import { prepare } from "../../../core/engine/prepare.ts";
import { openWebgpu, type WebgpuEngine } from "../../../core/engine/webgpu.ts";
import type { ModelFile } from "../../../core/engine/weights.ts";
import { GpuKvCache } from "../../../core/gpu_cache.ts";
import type { Gpu } from "../../../kernels/gpu.ts";
import { files } from "../../host.ts";
import type { Forwarded, TestedMemory, TestedModel } from "../device.ts";
import { openFile, type OpenOptions } from "../open.ts";

export interface OpenedOnGpu {
  engine: WebgpuEngine;
  model: ModelFile;
  close(): Promise<void>;
}

/** As `open` of `../open.ts`: what is prepared goes into a fresh folder. */
export async function openOnGpu(gpu: Gpu, path: string, options: OpenOptions): Promise<OpenedOnGpu> {
  const features = { ...NO_FEATURES, ...options.features } as GraphFeatures;
  const folder = await mkdtemp(join(tmpdir(), "palimpsest-test-gpu-"));
  try {
    const model = await openFile(path, options.configFile);
    const prepared = await prepare(files, folder, model, options.weights ?? "f32", features, "webgpu");
    const runtime = await loadOnnxRuntimeWebGpu();
    const engine = await openWebgpu(runtime, gpu.device, files, prepared, model.config, features);
    return {
      engine,
      model,
      async close() {
        await engine.close();
        await model.close();
      },
    };
  } finally {
    // the engine has read it
    await rm(folder, { recursive: true, force: true });
  }
}

export function modelOf(gpu: Gpu, engine: WebgpuEngine): TestedModel {
  return {
    config: engine.config,
    memory: (slots) => new GpuMemoryOf(gpu, engine, slots),
  };
}

class GpuMemoryOf implements TestedMemory {
  private readonly cache: GpuKvCache;

  constructor(private readonly gpu: Gpu, private readonly engine: WebgpuEngine, slots: number) {
    this.cache = new GpuKvCache(engine.device, cacheShape(engine.config), slots, engine.features.logBias);
  }

  async forward(ids: number[], { size = ids.length, logitsRows }: { size?: number; logitsRows: number }) {
    const { gpu, engine, cache } = this, { vocab, hidden, layers } = engine.config;
    const found: Forwarded = { logits: new Float32Array(logitsRows * vocab), hiddenLast: null };
    for (let from = 0, filled = 0; from < ids.length; from += size) {
      const tokens = ids.slice(from, from + size), end = from + tokens.length;
      const wanted = Math.max(0, Math.min(tokens.length, end - (ids.length - logitsRows)));
      const result = await engine.pass(cache, { tokens, firstPosition: cache.end[0]!, logitsRows: wanted });
      cache.append(tokens.length);
      if (result.logits) found.logits.set(await gpu.read(result.logits, new Float32Array(wanted * vocab)), filled);
      filled += wanted * vocab;
      if (result.hidden && end === ids.length) {
        found.hiddenLast = new Float32Array((layers + 1) * hidden);
        for (const [layer, buffer] of result.hidden.entries()) {
          // after the last layer only rows whose logits are wanted
          const rows = layer < layers ? tokens.length : wanted;
          const row = await gpu.read(buffer, new Float32Array(hidden), (rows - 1) * hidden * 4);
          found.hiddenLast.set(row, layer * hidden);
        }
      }
      result.release();
    }
    return found;
  }

  close(): void {
    this.cache.close();
  }
}
