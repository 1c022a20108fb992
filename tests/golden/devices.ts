/** The device that golden vectors run on, by the words of `--device`. A GPU's code is loaded only where one is asked for. */
import { UsageError } from "../../core/errors.ts";
import { cpu } from "./cpu/device.ts";
import type { GoldenDevice } from "./device.ts";

/** @throws {UsageError} for a device on which no vectors run @throws {DeviceError} where there is no adapter, or a null one */
export async function openDevice(word: string): Promise<GoldenDevice> {
  if (word === "cpu" || word === "auto") return cpu;
  if (word !== "webgpu") {
    throw new UsageError(`Golden vectors do not run on PALIMPSEST_DEVICE=${word}: cpu or webgpu works`);
  }
  const { openTestGpu } = await import("../engine/gpu_device.ts"), { onGpu } = await import("./gpu/device.ts");
  return onGpu(await openTestGpu());
}
