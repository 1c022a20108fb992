/**
 * WebGPU of the runtime that runs us: Deno has it built in, Bun gets it from bun-webgpu. Loaded only when a GPU is asked for: opening the drivers takes
 * longer than `--help` may take, and a machine without them must not notice.
 */
import { readdirSync } from "node:fs";
import process from "node:process";
import { DeviceError } from "../../core/errors.ts";

/** What a runtime has of WebGPU. */
export interface WebGpu {
  /** For messages: "Deno", "bun-webgpu 0.1.7". */
  readonly name: string;
  /** Asks for an adapter; null where there is none. */
  requestAdapter(options?: GPURequestAdapterOptions): Promise<GPUAdapter | null>;
}

/** What graphics drivers put into /dev: Mesa's and others', NVIDIA's, Windows' under WSL, and those of ARM's, Qualcomm's and Imagination's chips. */
const GPU_FILES = /^(dri|nvidia\d|nvidiactl|dxg|mali\d|kgsl-3d\d|pvr)/;

/**
 * Whether a GPU may be here. Cheap: on Linux a look at /dev tells that there is none, where opening drivers would take 40 to 80 ms to tell the same.
 * Elsewhere every machine has a driver.
 */
export function mayHaveGpu(): boolean {
  if (!process.versions.bun && !process.versions.deno) return false;
  if (process.platform !== "linux") return true;
  try {
    return readdirSync("/dev").some((name) => GPU_FILES.test(name));
  } catch {
    return true; // /dev may not be looked at: then the drivers tell
  }
}

/** @throws {DeviceError} where the runtime has no WebGPU */
export async function loadWebGpu(): Promise<WebGpu> {
  if (process.versions.bun) return await (await import("./webgpu_bun.ts")).load();
  if (process.versions.deno) return deno;
  throw new DeviceError("Node has no WebGPU: Deno, Bun or --device cpu works");
}

const deno: WebGpu = {
  name: "Deno",
  async requestAdapter(options) {
    nameRuntimeFolder();
    return await navigator.gpu?.requestAdapter(options) ?? null;
  },
};

/**
 * Drivers write "XDG_RUNTIME_DIR is invalid or not set" to stderr, twice, while they look for a screen that we do not need. It stays set: ONNX Runtime
 * asks for an adapter of its own later.
 */
function nameRuntimeFolder(): void {
  if (process.platform !== "linux" || process.env.XDG_RUNTIME_DIR) return;
  try {
    process.env.XDG_RUNTIME_DIR = "/tmp";
  } catch {
    // no permission to set it: then the two lines it is
  }
}

/**
 * The adapters that WebGPU admits to, the one it would choose first: it has no list, so the different wishes are put to it.
 * @param describe gives adapters that are the same the same name
 */
export async function adapters(webgpu: WebGpu, describe: (adapter: GPUAdapter) => string): Promise<GPUAdapter[]> {
  const wishes: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ];
  const found = new Map<string, GPUAdapter>();
  for (const wish of wishes) {
    const adapter = await webgpu.requestAdapter(wish).catch(() => null);
    if (adapter && !found.has(describe(adapter))) found.set(describe(adapter), adapter);
  }
  return [...found.values()];
}
