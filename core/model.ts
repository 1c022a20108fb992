/** A model that is open: its tokenizer and the engine that runs it. */
import { type OnnxRuntime, openCpu } from "./engine/cpu.ts";
import type { Device, Engine } from "./engine/engine.ts";
import type { GraphFeatures } from "./engine/features.ts";
import { openGguf } from "./engine/gguf.ts";
import { prepare, type WeightFormat } from "./engine/prepare.ts";
import { openWasm } from "./engine/wasm.ts";
import type { ModelConfig } from "./engine/weights.ts";
import { DeviceError } from "./errors.ts";
import type { FileSystem } from "./files.ts";
import { parsePolicy } from "./policies.ts";
import { featuresFor, type Policy } from "./policy.ts";
import { Reader, type ReaderOptions } from "./reader.ts";
import type { Reading } from "./reading.ts";
import { type Tokenizer, tokenizerFromGguf } from "./text/tokenizer.ts";

export interface OpenModelOptions {
  /** Path of a GGUF file. */
  path: string;
  /** Its SHA-256 where known; else it is computed, which takes a moment for large files. */
  sha256?: string;
  /** `auto` takes the native CPU build and, where that cannot be loaded, WebAssembly. */
  device: "auto" | "cpu" | "wasm";
  /** 0: as many as ONNX Runtime takes by itself. */
  threads?: number;
  /** Prepared weights are kept here, below `graphs/` and the model's hash. */
  cacheFolder: string;
  files: FileSystem;
  /** ONNX Runtime's builds, loaded when they are needed. */
  runtimes: { native(): Promise<OnnxRuntime>; wasm(): Promise<OnnxRuntime> };
  /** Name or spelling of the policy that will be used: it decides what the graph gives. */
  policy: string;
  /** What the graph shall give, where several policies will use the model: it must cover all of them (`featuresFor`). */
  features?: GraphFeatures;
  /** Default: quantised blocks on the CPU, f32 for WebAssembly. */
  weights?: WeightFormat;
  onWarning?: (message: string) => void;
}

export interface LoadedModel {
  readonly name: string;
  readonly sha256: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  readonly device: Device;
  readonly loadMs: number;
  /** Starts to read a prompt. @throws {UsageError} when the model was opened for a policy that needs less, or the policy needs a question and there is none */
  openReading(policy: Policy, options: ReaderOptions): Reading;
  close(): Promise<void>;
}

/**
 * Opens a model for one policy.
 * @throws {ModelError} when the file is missing, damaged or of an unsupported architecture
 * @throws {DeviceError} when the device cannot be opened
 */
export async function openModel(options: OpenModelOptions): Promise<LoadedModel> {
  const started = performance.now();
  const { files } = options, policy = parsePolicy(options.policy);
  const file = await files.open(options.path);
  try {
    const model = await openGguf(file);
    const sha256 = options.sha256 ?? await files.sha256(options.path);
    const features = options.features ?? featuresFor(policy);
    const folder = files.join(options.cacheFolder, "graphs", sha256.slice(0, 16));
    const tokenizer = tokenizerFromGguf(model.metadata);

    const open = async (kind: "cpu" | "wasm"): Promise<Engine> => {
      const format = options.weights ?? (kind === "cpu" ? "blocks" : "f32");
      // a missing runtime must be known before minutes go into preparing weights for it
      const runtime = kind === "cpu" ? await options.runtimes.native() : await options.runtimes.wasm();
      const prepared = await prepare(files, folder, model, format, features);
      return kind === "cpu"
        ? openCpu(runtime, prepared, model.config, features, options.threads ?? 0)
        : openWasm(runtime, files, prepared, model.config, features);
    };
    let engine: Engine;
    try {
      engine = await open(options.device === "wasm" ? "wasm" : "cpu");
    } catch (error) {
      if (options.device !== "auto" || !(error instanceof DeviceError)) throw error;
      options.onWarning?.(`${error.message}; going on with the slower WebAssembly build`);
      engine = await open("wasm");
    }
    return {
      name: model.config.name,
      sha256,
      config: model.config,
      tokenizer,
      engine,
      device: engine.device,
      openReading: (policy, reading) => new Reader(engine, policy, reading),
      loadMs: performance.now() - started,
      close: () => engine.close(),
    };
  } finally {
    await file.close();
  }
}
