/** A model that is open: its tokenizer and the device that runs it. */
import { type OnnxRuntime, openCpu } from "./engine/cpu.ts";
import type { Device, Engine } from "./engine/engine.ts";
import type { GraphFeatures } from "./engine/features.ts";
import { openModelFile } from "./engine/open.ts";
import type { WeightFormat } from "./engine/execution_forms.ts";
import { prepare, type PreparedModel } from "./engine/prepare.ts";
import { openWasm } from "./engine/wasm.ts";
import { refuseLargeWeights, WASM_BYTES, type WeightLimits } from "./engine/weight_groups.ts";
import type { ModelConfig, ModelFile } from "./engine/weights.ts";
import { type Allocate, cpuAllocation, type Rooms } from "./budget.ts";
import { DeviceError, UsageError } from "./errors.ts";
import type { FileSystem } from "./files.ts";
import { modelSha256 } from "./model_hash.ts";
import { openPacks, type PackFiles, type Packs } from "./pack/packs.ts";
import { parsePolicy, policies } from "./policies.ts";
import { featuresFor, type Policy } from "./policy.ts";
import { Reader, type ReaderOptions } from "./reader.ts";
import type { Reading } from "./reading.ts";
import { tokenizerOf } from "./text/model_tokenizer.ts";
import type { StoredType } from "./stored_rows.ts";
import type { Tokenizer } from "./text/tokenizer.ts";

/** Where a model is and what it is opened for, on a device without a GPU. */
export interface OpenEngineOptions {
  /** Path of a GGUF file, of a Hugging Face folder with safetensors weights, or of a file with weights in one. */
  path: string;
  /** Its SHA-256 (`modelSha256`) where known; else it is computed, which takes a moment for large files. */
  sha256?: string;
  /** `auto` takes the native CPU build and, where that cannot be loaded, WebAssembly. */
  device: "auto" | "cpu" | "wasm";
  gpu?: undefined;
  /** 0: as many as ONNX Runtime takes by itself. */
  threads?: number;
  /** Prepared weights are kept here, below `graphs/` and the model's hash. */
  cacheFolder: string;
  files: FileSystem;
  /** ONNX Runtime's builds, loaded when they are needed. */
  runtimes: { native(): Promise<OnnxRuntime>; wasm(): Promise<OnnxRuntime> };
  /** Name or spelling of the policy that will be used: it decides what the graph gives. */
  policy: string;
  /** What the graph shall give, where several policies will use the model: it must cover all of them (`featuresFor`). Not for GPUs. */
  features?: GraphFeatures;
  /** What a CPU's cache stores keys and values in. Default: f32. */
  kvType?: StoredType;
  /** Default: quantised blocks on the CPU and on GPUs, f32 for WebAssembly. */
  weights?: WeightFormat;
  /** Files that may be packs of learned weights, for policies that need one. Default: there are none. */
  packs?: PackFiles;
  onWarning?: (message: string) => void;
}

export interface OpenModelOptions extends Omit<OpenEngineOptions, "device" | "gpu"> {
  /** `auto` takes a GPU that may be used, where `gpu` is given and the policy can run there; else as without GPUs. */
  device: "auto" | "cpu" | "wasm" | "webgpu";
  /** Loads what runs models on a GPU (`kernels/reading/open.ts`); only called when a GPU is asked for. */
  gpu?: (() => Promise<GpuOpener>) | undefined;
  /** Notes will be taken while a document is read: a GPU's slots then need a bias that hides them. */
  takesNotes?: boolean;
  /** Told why `auto` takes no GPU, where one is there. */
  onNote?: (message: string) => void;
}

/** Runs models on a GPU. */
export interface GpuOpener {
  /** What of a policy has no form on a GPU, as users spell it; null where all has. */
  unsupported(policy: Policy): string | null;
  /**
   * @param policy one that is supported
   * @param prepared writes weights and graph, or finds them; called when there is a device for them, and refuses what is larger than that takes
   * @param takesNotes `Reading.aside` will be called
   * @throws {DeviceError} when no GPU may be used, or it cannot run the model
   */
  open(
    model: ModelFile,
    policy: Policy,
    files: FileSystem,
    prepared: (features: GraphFeatures, limits: WeightLimits) => Promise<PreparedModel>,
    takesNotes: boolean,
    packs: Packs,
  ): Promise<OpenedGpu>;
}

/** What a device gives to whoever reads with it. */
export type OpenedGpu = Pick<LoadedModel, "device" | "openReading" | "allocation" | "failure" | "close">;

export interface LoadedModel {
  readonly name: string;
  readonly sha256: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly device: Device;
  readonly loadMs: number;
  /**
   * Starts to read a prompt: its memory is there, or it throws.
   * @throws {UsageError} when the model was opened for a policy that needs less, or the policy needs a question and there is none
   * @throws {DeviceError} when the cache does not fit on the device
   */
  openReading(policy: Policy, options: ReaderOptions): Reading | Promise<Reading>;
  /** What a reading's memory takes. */
  allocation(policy: Policy, rooms: Rooms): Promise<Allocate>;
  /** Why the device is gone or unusable; null while it works. */
  failure(): DeviceError | null;
  close(): Promise<void>;
}

/** A model on the CPU, natively or as WebAssembly, whose passes can be asked for one by one. */
export interface EngineModel extends LoadedModel {
  readonly engine: Engine;
}

/**
 * Opens a model for one policy.
 * @throws {ModelError} when the file is missing, damaged or of an unsupported architecture, or a pack that the policy needs is missing or unusable
 * @throws {DeviceError} when the device cannot be opened
 * @throws {UsageError} when the policy cannot run on the GPU that is asked for
 */
export function openModel(options: OpenEngineOptions): Promise<EngineModel>;
export function openModel(options: OpenModelOptions): Promise<LoadedModel>;
export async function openModel(options: OpenModelOptions): Promise<LoadedModel> {
  const started = performance.now();
  const { files } = options, policy = parsePolicy(options.policy);
  const opener = await gpuFor(policy, options);
  const model = await openModelFile(files, options.path);
  try {
    const tokenizer = await tokenizerOf(model);
    const sha256 = options.sha256 ?? await modelSha256(files, model);
    const folder = files.join(options.cacheFolder, "graphs", sha256.slice(0, 16));
    const features = {
      ...options.features ?? featuresFor(policy),
      ...(options.kvType ? { kvType: options.kvType } : {}),
    };
    // what a missing pack needs is training: that must be known before anything is prepared
    const packs = await openPacks(features.packs, options.packs ?? (() => Promise.resolve([])), model);
    const opened = await openGpu(opener, model, folder, policy, packs, options) ??
      await openEngine(model, folder, features, packs, options);
    return {
      ...opened,
      name: model.config.name,
      sha256,
      config: model.config,
      tokenizer,
      loadMs: performance.now() - started,
    };
  } finally {
    await model.close();
  }
}

/** What opens a GPU for the policy; null where none shall be, or `auto` finds that the policy cannot run there. */
async function gpuFor(policy: Policy, { device, gpu, onNote }: OpenModelOptions): Promise<GpuOpener | null> {
  if (device === "webgpu" && !gpu) throw new DeviceError("There is no WebGPU here: --device cpu works");
  if (!gpu || device === "cpu" || device === "wasm") return null;
  const opener = await gpu().catch((error) => {
    if (device === "webgpu") throw error;
    onNote?.(`No GPU: ${(error as Error).message}`);
    return null;
  });
  const lacks = opener?.unsupported(policy);
  if (!opener || !lacks) return opener;
  if (device === "auto") {
    onNote?.(`Policy ${policy.name} runs on the CPU: ${lacks} has no form on a GPU yet`);
    return null;
  }
  const works = Object.keys(policies).filter((name) => !opener.unsupported(parsePolicy(name)));
  throw new UsageError(
    `Policy ${policy.name} cannot run on a GPU: ${lacks} has no form there yet; --device cpu works, or a policy of ` +
      works.join(", "),
  );
}

/** The model on a GPU; null where `auto` gets none. */
async function openGpu(
  opener: GpuOpener | null,
  model: ModelFile,
  folder: string,
  policy: Policy,
  packs: Packs,
  { device, files, weights = "blocks", takesNotes = false, onNote }: OpenModelOptions,
): Promise<OpenedGpu | null> {
  if (!opener) return null;
  const prepared = (features: GraphFeatures, limits: WeightLimits) => {
    refuseLargeWeights(model, weights, limits);
    return prepare(files, folder, model, weights, features, "webgpu");
  };
  try {
    return await opener.open(model, policy, files, prepared, takesNotes, packs);
  } catch (error) {
    if (device !== "auto" || !(error instanceof DeviceError)) throw error;
    onNote?.(`No GPU: ${error.message}`);
    return null;
  }
}

async function openEngine(
  model: ModelFile,
  folder: string,
  features: GraphFeatures,
  packs: Packs,
  options: OpenModelOptions,
) {
  const { files, device } = options, { config } = model;
  const open = async (kind: "cpu" | "wasm"): Promise<Engine> => {
    const format = options.weights ?? (kind === "cpu" ? "blocks" : "f32");
    // a missing runtime must be known before minutes go into preparing weights for it
    const runtime = kind === "cpu" ? await options.runtimes.native() : await options.runtimes.wasm();
    if (kind === "wasm") {
      const limits = { device: "ONNX Runtime WebAssembly", oneBytes: WASM_BYTES, allBytes: WASM_BYTES };
      refuseLargeWeights(model, format, limits);
    }
    const prepared = await prepare(files, folder, model, format, features);
    return kind === "cpu"
      ? openCpu(runtime, prepared, config, features, options.threads ?? 0, packs)
      : openWasm(runtime, files, prepared, config, features, packs);
  };
  let engine: Engine;
  try {
    engine = await open(device === "wasm" ? "wasm" : "cpu");
  } catch (error) {
    if (device !== "auto" || !(error instanceof DeviceError)) throw error;
    options.onWarning?.(`${error.message}; going on with the slower WebAssembly build`);
    engine = await open("wasm");
  }
  return {
    engine,
    device: engine.device,
    openReading: (policy: Policy, reading: ReaderOptions) => new Reader(engine, policy, reading),
    allocation: (policy: Policy, rooms: Rooms) =>
      Promise.resolve((slots: number) =>
        cpuAllocation(config, policy, { ...rooms, slots }, engine.packs, features.kvType)
      ),
    failure: () => null,
    close: () => engine.close(),
  };
}
