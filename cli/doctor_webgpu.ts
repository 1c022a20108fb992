/** What `doctor` says of the GPU: the adapters, what they can, whether they compute rightly, and what `--device auto` makes of it. */
import { DeviceError } from "../core/errors.ts";
import { type AdapterFacts, adapterKey, describeAdapter } from "../kernels/device/adapter.ts";
import { LEAST_LIMITS, openGpu, refusal } from "../kernels/device/device.ts";
import { readableBytes } from "./numbers.ts";
import { adapters, loadWebGpu } from "./runtimes/webgpu.ts";

/** An adapter; of its limits those that kernels rely on. */
export interface AdapterReport extends AdapterFacts {
  /** "passed", what went wrong, or null where it was not run, as there is nothing behind the adapter. */
  selfTest: string | null;
  /** Why `auto` does not take it; null where it may. */
  refused: string | null;
}

export interface WebGpuReport {
  /** Whose WebGPU; null where the runtime has none. */
  runtime: string | null;
  /** Why there are no adapters. */
  problem: string | null;
  adapters: AdapterReport[];
}

export async function inspectWebGpu(): Promise<WebGpuReport> {
  try {
    const webgpu = await loadWebGpu();
    const reports: AdapterReport[] = [];
    for (const adapter of await adapters(webgpu, adapterKey)) reports.push(await inspect(adapter));
    return {
      runtime: webgpu.name,
      problem: reports.length ? null : "no adapter: there is no Vulkan, Metal or Direct3D driver",
      adapters: reports,
    };
  } catch (error) {
    return { runtime: null, problem: (error as Error).message, adapters: [] };
  }
}

async function inspect(adapter: GPUAdapter): Promise<AdapterReport> {
  const all = describeAdapter(adapter), refused = refusal(all);
  const limits = Object.fromEntries(Object.keys(LEAST_LIMITS).map((name) => [name, all.limits[name] ?? 0]));
  const facts = { ...all, limits };
  if (refusal(all, { allowSoftware: true })) return { ...facts, selfTest: null, refused };
  try {
    const gpu = await openGpu(adapter, { allowSoftware: true });
    gpu.close();
    // without half precision, where the test found it wrong
    return { ...facts, features: gpu.adapter.features, selfTest: "passed", refused };
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { ...facts, selfTest: error.message, refused: error.message };
  }
}

/** What `--device auto` takes, and why. @param native, wasm whether ONNX Runtime's builds for the CPU can be opened */
export function autoDevice(
  { adapters, problem }: WebGpuReport,
  native: boolean,
  wasm: boolean,
): { device: "webgpu" | "cpu" | "wasm" | null; reason: string } {
  const usable = adapters.find(({ refused }) => refused === null);
  if (usable) return { device: "webgpu", reason: `"${usable.name}" passed its self-test` };
  const gpu = adapters[0]?.refused ?? problem ?? "there is no GPU";
  if (native) return { device: "cpu", reason: gpu };
  return { device: wasm ? "wasm" : null, reason: `ONNX Runtime's native library cannot be opened; ${gpu}` };
}

/** An adapter in a line. */
export function adapterLine({ name, kind, features, limits, selfTest }: AdapterReport): string {
  if (kind === "null") return `${name}, which computes nothing: no graphics driver was found`;
  const test = selfTest === null ? "self-test not run" : selfTest === "passed" ? "self-test passed" : selfTest;
  return [
    `${name}, ${kind}`,
    ...features,
    `${limits.maxStorageBuffersPerShaderStage} buffers of ${
      readableBytes(limits.maxStorageBufferBindingSize!)
    } a kernel`,
    `${limits.maxComputeInvocationsPerWorkgroup} threads and ${
      readableBytes(limits.maxComputeWorkgroupStorageSize!)
    } a workgroup`,
    test,
  ].join(", ");
}
