/** Opens a stored model for a command: this machine's files and runtimes, and a live line while it loads. */
import { DeviceError } from "../core/errors.ts";
import type { EngineModel, LoadedModel, OpenEngineOptions } from "../core/model.ts";
import type { StoredType } from "../core/stored_rows.ts";
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
  /** Default: what the device executes. */
  weights?: OpenEngineOptions["weights"];
}

/** @param device on which an `Engine` runs */
export async function openStored(
  stored: Stored,
  device: OpenEngineOptions["device"],
  flags: OpenFlags,
  kvType: StoredType = "f32",
): Promise<EngineModel> {
  const { openModel } = await import("../mod.ts");
  flags.renderer.status(`loading ${stored.name}`);
  return await openModel({ ...optionsOf(stored, flags), device, kvType }).finally(flags.renderer.clear);
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
    kvType: KvTypeFlag;
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
  const options = { ...optionsOf(stored, flags), device, gpu, takesNotes, onNote, kvType: cpuKvType(kvType) };
  return await openModel(options).finally(flags.renderer.clear);
}

function optionsOf({ path, sha256 }: Stored, { policy, cacheFolder, threads, renderer, weights }: OpenFlags) {
  return {
    path,
    ...(sha256 ? { sha256 } : {}),
    ...(threads ? { threads } : {}),
    ...(weights ? { weights } : {}),
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

/** What `--kv-type` says. */
export type KvTypeFlag = "auto" | StoredType;

/** What a CPU stores keys and values in. */
export const cpuKvType = (wish: KvTypeFlag = "auto"): StoredType => wish === "auto" ? "f32" : wish;
