/** Runs models on a GPU: what `openModel` is given where a GPU may be used. One device serves ONNX Runtime and the kernels. */
import type { OnnxRuntime } from "../../core/engine/cpu.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import type { GraphFeatures } from "../../core/engine/features.ts";
import { openWebgpu, type WebgpuEngine } from "../../core/engine/webgpu.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import { DeviceError } from "../../core/errors.ts";
import type { GpuOpener, OpenedGpu } from "../../core/model.ts";
import { featuresFor, type Policy } from "../../core/policy.ts";
import { refuseUnmet } from "../../core/reading.ts";
import { type AdapterKind, describeAdapter } from "../device/adapter.ts";
import { openGpu, refusal } from "../device/device.ts";
import type { Gpu } from "../gpu.ts";
import { GpuReading } from "./gpu_reading.ts";
import { gpuAllocation, isWide } from "./plan.ts";
import { unsupportedOnGpu } from "./supported.ts";
import { ValueNorms } from "./value_norms.ts";

/** What a runtime has for GPUs. */
export interface GpuRuntime {
  /** The adapters there are, the best first. */
  adapters(): Promise<GPUAdapter[]>;
  /** ONNX Runtime's build with WebGPU. */
  onnx(): Promise<OnnxRuntime>;
}

/** What the graph must give for a policy on a GPU: log-biases also hide slots where heads keep different numbers of them. */
export function gpuFeatures(policy: Policy, takesNotes = false): GraphFeatures {
  const features = featuresFor(policy);
  return { ...features, logBias: features.logBias || isWide(policy, takesNotes) };
}

/** @param allowSoftware takes a CPU that plays a GPU, where there is no GPU */
export function gpuOpener(runtime: GpuRuntime, { allowSoftware = false } = {}): GpuOpener {
  return {
    unsupported: unsupportedOnGpu,
    async open(model, policy, files, prepared, takesNotes) {
      const gpu = await firstUsable(await runtime.adapters(), allowSoftware);
      try {
        const features = gpuFeatures(policy, takesNotes), onnx = await runtime.onnx();
        const engine = await openWebgpu(onnx, gpu.device, files, await prepared(features), model.config, features);
        return opened(gpu, engine, features.valueNorms ? await openNorms(gpu, engine, model) : null);
      } catch (error) {
        gpu.close();
        throw gpu.failure ?? error;
      }
    },
  };
}

const RANK: Record<AdapterKind, number> = { hardware: 0, software: 1, null: 2 };

/** The first adapter that may be used and passes its self-test, hardware first. @throws {DeviceError} that says why there is none */
async function firstUsable(adapters: GPUAdapter[], allowSoftware: boolean): Promise<Gpu> {
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

function opened(gpu: Gpu, engine: WebgpuEngine, norms: ValueNorms | null): OpenedGpu {
  return {
    device: { kind: "webgpu", name: gpu.adapter.name },
    openReading(policy, options) {
      refuseUnmet(policy, engine.features, gpuFeatures(policy), options.questionTokens);
      return new GpuReading(gpu, engine, policy, options, norms);
    },
    allocation: (policy, sizes) => gpuAllocation(policy, engine.config, sizes, engine.features.logBias),
    failure: () => gpu.failure,
    async close() {
      // what is on a lost device is gone already, and says so
      await engine.close().catch(() => {});
      norms?.close();
      gpu.close();
    },
  };
}
