/** The GPU that the runtime finds, a software one too: what checks of the engine run on. */
import { loadWebGpu } from "../../cli/runtimes/webgpu.ts";
import { openGpu } from "../../kernels/device/device.ts";
import type { Gpu } from "../../kernels/gpu.ts";

export async function openTestGpu(): Promise<Gpu> {
  const adapter = await (await loadWebGpu()).requestAdapter();
  if (!adapter) throw new Error("no adapter");
  return await openGpu(adapter, { allowSoftware: true });
}
