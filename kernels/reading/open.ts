/** Runs models on a GPU: what `openModel` is given where a GPU may be used. One device serves ONNX Runtime and the kernels. */
import type { OnnxRuntime } from "../../core/engine/cpu.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import { AttentionError } from "../../core/engine/attention_self_test.ts";
import { openWebgpu, type WebgpuEngine } from "../../core/engine/webgpu.ts";
import { WASM_BYTES } from "../../core/engine/weight_groups.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import { DeviceError } from "../../core/errors.ts";
import { computedIn, NUMBER_BYTES } from "../../core/gpu_cache.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import type { Policy } from "../../core/policy.ts";
import type { ReaderOptions } from "../../core/reader.ts";
import type { GpuOpener, OpenedGpu } from "../../core/model.ts";
import { refuseUnmet } from "../../core/reading.ts";
import { type AdapterKind, describeAdapter } from "../device/adapter.ts";
import { openGpu, refusal } from "../device/device.ts";
import type { Gpu } from "../gpu.ts";
import { gpuAllocation } from "./dry_run.ts";
import { GpuReading } from "./gpu_reading.ts";
import { gpuCapacity, gpuFeatures, kvTypes, type KvTypeWish } from "./plan.ts";
import { unsupportedOnGpu } from "./supported.ts";
import { ValueNorms } from "./value_norms.ts";

/** What a runtime has for GPUs. */
export interface GpuRuntime {
  /** The adapters there are, the best first. */
  adapters(): Promise<GPUAdapter[]>;
  /** ONNX Runtime's build with WebGPU. */
  onnx(): Promise<OnnxRuntime>;
}

export interface OpenerOptions {
  /** Takes a CPU that plays a GPU, where there is no GPU. */
  allowSoftware?: boolean;
  /** What keys and values are stored in. Default: `auto`. */
  kvType?: KvTypeWish | undefined;
  /** Given the device that a model was opened on, for measurements. */
  onGpu?: (gpu: Gpu) => void;
}

export function gpuOpener(
  runtime: GpuRuntime,
  { allowSoftware = false, kvType, onGpu }: OpenerOptions = {},
): GpuOpener {
  return {
    unsupported: unsupportedOnGpu,
    async open(model, policy, files, prepared, takesNotes, packs) {
      const gpu = await firstUsable(await runtime.adapters(), allowSoftware);
      try {
        const features = gpuFeatures(policy, takesNotes), onnx = await runtime.onnx();
        const openIn = async (kvType: StoredType): Promise<WebgpuEngine> => {
          const all = { ...features, kvType }, device = `The GPU "${gpu.adapter.name}"`;
          const weights = await prepared(all, { device, oneBytes: largestBuffer(gpu), allBytes: WASM_BYTES });
          gpu.kvType = computedIn(kvType);
          return await gpu.allocating(
            "memory for the model's weights",
            () => openWebgpu(onnx, gpu.device, files, weights, model.config, all, packs),
            (engine) => engine.close(),
          );
        };
        const [first, second] = kvTypes(gpu.features, model.config, kvType);
        const engine = await openIn(first!).catch((error) => {
          if (error instanceof AttentionError && second) return openIn(second);
          throw error;
        });
        const norms = features.valueNorms ? await openNorms(gpu, engine, model) : null;
        onGpu?.(gpu);
        return opened(gpu, engine, norms);
      } catch (error) {
        await gpu.settled();
        gpu.close();
        throw gpu.failure ?? error;
      }
    },
  };
}

const RANK: Record<AdapterKind, number> = { hardware: 0, software: 1, null: 2 };

/** The first adapter that may be used and passes its self-test, hardware first. @throws {DeviceError} that says why there is none */
export async function firstUsable(adapters: GPUAdapter[], allowSoftware: boolean): Promise<Gpu> {
  const ranked = adapters.map((adapter) => ({ adapter, facts: describeAdapter(adapter) }))
    .sort((a, b) => RANK[a.facts.kind] - RANK[b.facts.kind]);
  let first: DeviceError | null = null;
  for (const { adapter, facts } of ranked) {
    const reason = refusal(facts, { allowSoftware });
    try {
      if (reason) throw new DeviceError(reason);
      return await openGpu(adapter, { allowSoftware });
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      first ??= error;
    }
  }
  throw first ??
    new DeviceError("There is no GPU: no Vulkan, Metal or Direct3D driver was found. --device cpu works");
}

/** What value norms are computed from. */
export function openNorms(gpu: Gpu, engine: WebgpuEngine, model: ModelFile): Promise<ValueNorms> {
  return ValueNorms.open(gpu, engine, async (layer) => {
    const { type, bytes } = await model.tensor(`layers.${layer}.self_attn.o_proj`);
    return Float32Array.from(dequantise(type, bytes));
  });
}

const largestBuffer = ({ limits }: Gpu): number =>
  Math.min(limits["maxBufferSize"]!, limits["maxStorageBufferBindingSize"]!);

/** A layer's keys are one buffer, and those of all heads together may be larger than the device allows. @throws {DeviceError} with the slots that fit */
function refuseTooLong(
  gpu: Gpu,
  { config, slotDim, features }: WebgpuEngine,
  policy: Policy,
  options: ReaderOptions,
): void {
  const { budget: { slots }, chunkTokens, reserve } = options;
  const row = NUMBER_BYTES[computedIn(features.kvType)] * slotDim;
  const bytes = (slots: number) => config.kvHeads * row * gpuCapacity(policy, { slots, chunkTokens, reserve });
  const most = largestBuffer(gpu);
  if (bytes(slots) <= most) return;
  const fit = Math.floor((most - bytes(0)) / (bytes(1) - bytes(0)));
  throw new DeviceError(
    `The GPU "${gpu.adapter.name}" allows ${most} bytes in one buffer, and a layer's keys take ${
      bytes(slots)
    } with ${slots} slots: ` +
      (fit > 0 ? `--kv-budget ${fit}, ` : "a smaller --chunk, ") + "or --device cpu, works",
  );
}

function opened(gpu: Gpu, engine: WebgpuEngine, norms: ValueNorms | null): OpenedGpu {
  return {
    device: { kind: "webgpu", name: gpu.adapter.name },
    openReading(policy, options) {
      refuseUnmet(policy, engine.features, gpuFeatures(policy), options.questionTokens);
      refuseTooLong(gpu, engine, policy, options);
      return gpu.allocating(
        "memory for the cache",
        () => new GpuReading(gpu, engine, policy, options, norms),
        (reading) => reading[Symbol.dispose](),
      );
    },
    allocation(policy, rooms) {
      const { config, features: { logBias, kvType }, packs } = engine;
      return gpuAllocation(policy, config, rooms, logBias, packs, kvType);
    },
    failure: () => gpu.failure,
    async close() {
      // what is on a lost device is gone already, and says so
      await engine.close().catch(() => {});
      await gpu.settled();
      norms?.close();
      gpu.close();
    },
  };
}
