/** Opens a model twice, on the GPU and as its plain CPU engine, and forwards prompts through the GPU engine. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as runtime from "onnxruntime-web/webgpu";
import type { Engine } from "../../core/engine/engine.ts";
import { cacheShape } from "../../core/engine/layers.ts";
import { type GraphFeatures, NO_FEATURES } from "../../core/engine/features.ts";
import type { WeightFormat } from "../../core/engine/execution_forms.ts";
import { prepare } from "../../core/engine/prepare.ts";
import { openWebgpu, type WebgpuEngine } from "../../core/engine/webgpu.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import type { Packs } from "../../core/pack/packs.ts";
import { computedIn, GpuKvCache, HIDDEN, NUMBER_BYTES } from "../../core/gpu_cache.ts";
import { readBuffer } from "../../kernels/device/read.ts";
import { STORAGE } from "../../kernels/device/usage.ts";
import { type Opened, using } from "../golden/open.ts";
import { files } from "../host.ts";

runtime.env.wasm.numThreads = 1;

export interface OpenedGpu {
  engine: WebgpuEngine;
  cpu: Engine;
  model: Opened["model"];
}

/** Opens, uses and closes. */
export async function usingGpu<T>(
  device: GPUDevice,
  path: string,
  { features = {}, weights = "f32", packs }: {
    features?: Partial<GraphFeatures>;
    weights?: WeightFormat;
    packs?: (model: ModelFile) => Promise<Packs>;
  },
  use: (opened: OpenedGpu) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "palimpsest-test-gpu-")), all = { ...NO_FEATURES, ...features };
  try {
    return await using(path, { weights }, async ({ engine: cpu, model }) => {
      const prepared = await prepare(files, folder, model, weights, all, "webgpu");
      const engine = await openWebgpu(runtime, device, files, prepared, model.config, all, await packs?.(model));
      try {
        return await use({ engine, cpu, model });
      } finally {
        await engine.close();
      }
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function gpuCache(engine: WebgpuEngine, capacity: number): GpuKvCache {
  const { config, features, device } = engine;
  return new GpuKvCache(device, cacheShape(config), capacity, features.logBias, features.kvType);
}

/** Forwards `ids` in chunks of these sizes, the last one over and over: logits of the last `logitsRows`. */
export async function forwardGpu(
  engine: WebgpuEngine,
  cache: GpuKvCache,
  ids: number[],
  { sizes = [ids.length], logitsRows = 1, firstPosition = 0 } = {},
): Promise<Float32Array> {
  const logits = new Float32Array(logitsRows * engine.config.vocab);
  let filled = 0;
  for (let from = 0, i = 0; from < ids.length; i++) {
    const tokens = ids.slice(from, from + sizes[Math.min(i, sizes.length - 1)]!), end = from + tokens.length;
    const wanted = Math.max(0, Math.min(tokens.length, end - (ids.length - logitsRows)));
    const result = await engine.pass(cache, { tokens, firstPosition: firstPosition + from, logitsRows: wanted });
    cache.append(tokens.length);
    const count = wanted * engine.config.vocab;
    if (result.logits) logits.set(await readFloats(engine.device, result.logits, count), filled);
    filled += count;
    result.release();
    from = end;
  }
  return logits;
}

/** Reads a buffer's first `count` numbers. */
export async function readFloats(device: GPUDevice, buffer: GPUBuffer, count: number): Promise<Float32Array> {
  return new Float32Array(await readBuffer(device, buffer, count * 4));
}

/**
 * Moves the kept rows of every head, so that all heads of a layer end at the same slot. Through a copy of the whole layer, as nothing here hurries.
 * @param keep per head ascending slots, counted from the buffer's start
 */
export function keepRows(cache: GpuKvCache, keep: number[][]): void {
  const { device, shape: { layers, kvHeads } } = cache;
  const ends = Array.from(
    { length: layers },
    (_, layer) => Math.max(...keep.slice(layer * kvHeads, (layer + 1) * kvHeads).map((slots) => slots.length)),
  );
  const encoder = device.createCommandEncoder(), copies: GPUBuffer[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (const buffer of [cache.keys[layer]!, cache.values[layer]!]) {
      const copy = device.createBuffer({ size: buffer.size, usage: STORAGE });
      copies.push(copy);
      encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
      for (let head = layer * kvHeads; head < (layer + 1) * kvHeads; head++) {
        const slots = keep[head]!, start = ends[layer]! - slots.length;
        slots.forEach((slot, i) =>
          encoder.copyBufferToBuffer(
            copy,
            cache.offset(head, slot),
            buffer,
            cache.offset(head, start + i),
            cache.slotDim * NUMBER_BYTES[computedIn(cache.type)],
          )
        );
      }
    }
  }
  device.queue.submit([encoder.finish()]);
  for (const copy of copies) copy.destroy();
  keep.forEach((slots, head) => {
    const layer = Math.floor(head / kvHeads), hidden = ends[layer]! - slots.length;
    for (let slot = 0; slot < hidden; slot++) {
      // whole words are written: in half precision the bias, which is 0, and what hides in one
      const isHalf = cache.type === "f16", column = cache.shape.headDim + (isHalf ? 0 : 1);
      device.queue.writeBuffer(
        cache.keys[layer]!,
        cache.offset(head, slot) + column * NUMBER_BYTES[computedIn(cache.type)],
        isHalf ? Float16Array.of(0, HIDDEN.f16) : Float32Array.of(HIDDEN.f32),
      );
    }
  });
  cache.end.set(ends);
}
