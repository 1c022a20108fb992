/**
 * Opens a GPU: takes an adapter from a runtime (`cli/runtimes/webgpu.ts`), asks for all it can, refuses what is no GPU, and trusts it only after a
 * known-answer test; half precision by a test of its own, without which the device is one that does not have it. One device serves ONNX Runtime and our kernels.
 */
import { DeviceError } from "../../core/errors.ts";
import { type AdapterFacts, describeAdapter } from "./adapter.ts";
import { Gpu } from "../gpu.ts";
import { selfTest } from "./self_test.ts";

/** What kernels rely on: WebGPU's own defaults, which every adapter of its core profile reaches. */
export const LEAST_LIMITS: Readonly<Record<string, number>> = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

export interface OpenOptions {
  /** Takes a CPU that plays a GPU too. */
  allowSoftware?: boolean;
}

/**
 * Why an adapter must not be used, null where it may.
 * @param allowSoftware a CPU that plays a GPU may be used
 */
export function refusal(facts: AdapterFacts, { allowSoftware = false }: OpenOptions = {}): string | null {
  if (facts.kind === "null") {
    return `GPU adapter "${facts.name}" computes nothing: no graphics driver was found. A Vulkan, Metal or Direct3D ` +
      "driver, or --device cpu, works";
  }
  if (facts.kind === "software" && !allowSoftware) {
    return `GPU adapter "${facts.name}" is a software adapter, slower than the CPU device: --device cpu, a GPU's own ` +
      "driver, or --device webgpu --allow-software works";
  }
  for (const [name, least] of Object.entries(LEAST_LIMITS)) {
    const met = facts.limits[name] ?? 0;
    if (met < least) {
      return `GPU adapter "${facts.name}" is too small: ${name} is ${met}, and at least ${least} is needed. ` +
        "--device cpu works";
    }
  }
  return null;
}

/**
 * @param adapter an adapter gives one device, so it is used up
 * @throws {DeviceError} that says what is wrong with it
 */
export async function openGpu(adapter: GPUAdapter, options: OpenOptions = {}): Promise<Gpu> {
  const facts = describeAdapter(adapter);
  const reason = refusal(facts, options);
  if (reason) throw new DeviceError(reason);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredLimits: facts.limits, requiredFeatures: facts.features });
  } catch (error) {
    throw new DeviceError(`Cannot open GPU adapter "${facts.name}": ${(error as Error).message}`, { cause: error });
  }
  try {
    const halfIsWrong = await selfTest(device, facts.name);
    if (halfIsWrong) facts.features = facts.features.filter((feature) => feature !== "shader-f16");
  } catch (error) {
    device.destroy();
    if (error instanceof DeviceError) throw error;
    throw new DeviceError(`GPU adapter "${facts.name}" fails its self-test: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return new Gpu(device, facts);
}
