/** This machine's GPUs, for commands that answer. */
import { DeviceError } from "../core/errors.ts";
import type { GpuOpener } from "../core/model.ts";
import type { Policy } from "../core/policy.ts";
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

/** Whether `--device auto` would run the policy on a GPU of this machine: one is there, passes its self-test and has forms for all of the policy. */
export async function autoTakesGpu(policy: Policy): Promise<boolean> {
  if (!mayHaveGpu()) return false;
  try {
    const { firstUsable } = await import("../kernels/reading/open.ts");
    const { unsupportedOnGpu } = await import("../kernels/reading/supported.ts");
    const { adapterKey } = await import("../kernels/device/adapter.ts");
    if (unsupportedOnGpu(policy)) return false;
    (await firstUsable(await adapters(await loadWebGpu(), adapterKey), false)).close();
    return true;
  } catch (error) {
    if (error instanceof DeviceError) return false;
    throw error;
  }
}
