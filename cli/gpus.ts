/** This machine's GPUs, for commands that answer. */
import { DeviceError } from "../core/errors.ts";
import type { GpuOpener } from "../core/model.ts";
import type { Policy } from "../core/policy.ts";
import type { WantedFeature } from "../kernels/device/adapter.ts";
import type { OpenerOptions } from "../kernels/reading/open.ts";
import { adapters, loadWebGpu, mayHaveGpu } from "./runtimes/webgpu.ts";
import { loadOnnxRuntimeWebGpu } from "./runtimes/webgpu_onnx.ts";

/** Where GPUs come from: this machine's drivers, or a test. */
export interface Gpus {
  /** Whether it is worth to look for one when none is asked for. */
  mayBeHere(): boolean;
  /** @throws {DeviceError} where the runtime has no WebGPU */
  opener(options: OpenerOptions): Promise<GpuOpener>;
}

export const gpus: Gpus = {
  mayBeHere: mayHaveGpu,
  async opener(options) {
    // the kernels are many files, which an answer on the CPU need not read
    const { gpuOpener } = await import("../kernels/reading/open.ts");
    const { adapterKey } = await import("../kernels/device/adapter.ts");
    return gpuOpener({
      adapters: async () => await adapters(await loadWebGpu(), adapterKey),
      onnx: loadOnnxRuntimeWebGpu,
    }, options);
  },
};

/**
 * What the GPU can on which `--device` would run the policy. Under `auto` it is one that passes its self-test, and has forms for all of the policy.
 * @returns null where no GPU would be taken; nothing where one is asked for and none is here, as then the plan is for the least of GPUs
 */
export async function gpuFor(
  device: "auto" | "cpu" | "wasm" | "webgpu",
  policy: Policy,
): Promise<ReadonlySet<WantedFeature> | null> {
  const isAsked = device === "webgpu";
  if (!isAsked && (device !== "auto" || !mayHaveGpu())) return null;
  try {
    const { firstUsable } = await import("../kernels/reading/open.ts");
    const { unsupportedOnGpu } = await import("../kernels/reading/supported.ts");
    const { adapterKey } = await import("../kernels/device/adapter.ts");
    if (!isAsked && unsupportedOnGpu(policy)) return null;
    const gpu = await firstUsable(await adapters(await loadWebGpu(), adapterKey), isAsked);
    gpu.close();
    return gpu.features;
  } catch (error) {
    if (error instanceof DeviceError) return isAsked ? new Set() : null;
    throw error;
  }
}
