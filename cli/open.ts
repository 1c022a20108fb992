/** Opens a stored model for a command: this machine's files and runtimes, and a live line while it loads. */
import { DeviceError, UsageError } from "../core/errors.ts";
import type { EngineModel, LoadedModel, OpenEngineOptions } from "../core/model.ts";
import type { KvTypeWish } from "../kernels/reading/plan.ts";
import { type Gpus, gpus as thisMachine } from "./gpus.ts";
import { withKnownHashes } from "./known_hashes.ts";
import { packFiles } from "./packs.ts";
import type { Renderer } from "./render.ts";
import { loadOnnxRuntimeNode } from "./runtimes/native.ts";
import { loadOnnxRuntimeWeb } from "./runtimes/wasm.ts";
import type { resolveModel } from "./store.ts";

export type Stored = Awaited<ReturnType<typeof resolveModel>>;
export type DeviceFlag = "auto" | "cpu" | "wasm" | "webgpu";

/** What a model is opened with. */
export interface OpenFlags {
  /** Decides what the graph gives. */
  policy: string;
  cacheFolder: string;
  threads: number | undefined;
  renderer: Renderer;
}

/** @param device on which an `Engine` runs */
export async function openStored(
  stored: Stored,
  device: OpenEngineOptions["device"],
  flags: OpenFlags,
): Promise<EngineModel> {
  const { openModel } = await import("../mod.ts");
  flags.renderer.status(`loading ${stored.name}`);
  return await openModel({ ...optionsOf(stored, flags), device }).finally(flags.renderer.clear);
}

/**
 * On a GPU too.
 * @param onNote told why `auto` takes no GPU, where one may be here
 */
export async function openAnywhere(
  stored: Stored,
  device: DeviceFlag,
  flags: OpenFlags,
  { allowSoftware, kvType, takesNotes, onNote, gpus = thisMachine }: {
    allowSoftware: boolean;
    kvType: KvTypeWish;
    takesNotes: boolean;
    onNote: (message: string) => void;
    gpus?: Gpus | undefined;
  },
): Promise<LoadedModel> {
  const { openModel } = await import("../mod.ts");
  flags.renderer.status(`loading ${stored.name}`);
  const gpu = device === "webgpu" || device === "auto" && gpus.mayBeHere()
    ? () => gpus.opener({ allowSoftware, kvType })
    : undefined;
  return await openModel({ ...optionsOf(stored, flags), device, gpu, takesNotes, onNote }).finally(
    flags.renderer.clear,
  );
}

function optionsOf({ path, sha256 }: Stored, { policy, cacheFolder, threads, renderer }: OpenFlags) {
  return {
    path,
    ...(sha256 ? { sha256 } : {}),
    ...(threads ? { threads } : {}),
    cacheFolder,
    files: withKnownHashes(cacheFolder),
    policy,
    packs: packFiles,
    runtimes: { native: loadOnnxRuntimeNode, wasm: () => loadOnnxRuntimeWeb(threads) },
    onWarning: renderer.remark,
  };
}

/** @throws {DeviceError} for devices on which only `ask` and `summarize` run. */
export function engineDevice(device: DeviceFlag, command: string): OpenEngineOptions["device"] {
  if (device !== "webgpu") return device;
  throw new DeviceError(`${command} has no webgpu device yet, --device cpu and --device wasm work`);
}

/** @throws {UsageError} where a device is asked for that cannot store keys and values in half precision */
export function refuseHalfOnCpu({ device, kvType }: { device: DeviceFlag; kvType?: KvTypeWish | undefined }): void {
  if (kvType !== "f16" || device === "webgpu" || device === "auto") return;
  throw new UsageError(`--kv-type f16 goes with a GPU, and the device is ${device}, which stores f32`);
}
