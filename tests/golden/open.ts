/** Opens reference files and models: the arrays of a vector, and a model through the tool's own loader, graph writer and CPU engine. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadOnnxRuntimeNode } from "../../cli/runtimes/native.ts";
import { openCpu } from "../../core/engine/cpu.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { type GraphFeatures, NO_FEATURES } from "../../core/engine/features.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import type { WeightFormat } from "../../core/engine/execution_forms.ts";
import { prepare } from "../../core/engine/prepare.ts";
import { openSafetensors, readSafetensors } from "../../core/engine/safetensors.ts";
import { huggingFaceArchitectures } from "../../core/engine/architectures/all.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import type { Packs } from "../../core/pack/packs.ts";
import type { FileSystem } from "../../core/files.ts";
import { files } from "../host.ts";

/** Arrays of a safetensors file by name; masks and indices come as numbers like everything else. */
export interface Arrays {
  has(name: string): boolean;
  names: string[];
  data(name: string): ArrayLike<number>;
  shape(name: string): number[];
}

export async function readArrays(path: string): Promise<Arrays> {
  const file = await files.open(path);
  try {
    const stored = await readSafetensors(file);
    const arrays = new Map<string, { shape: number[]; data: ArrayLike<number> }>();
    for (const name of stored.arrays.keys()) {
      const { shape, data } = await stored.read(name);
      if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
        throw new Error(`${path}: ${name} is 64-bit`);
      }
      arrays.set(name, { shape, data });
    }
    const get = (name: string) => {
      const array = arrays.get(name);
      if (!array) throw new Error(`${path} has no array ${name}`);
      return array;
    };
    return {
      has: (name) => arrays.has(name),
      names: [...arrays.keys()],
      data: (name) => get(name).data,
      shape: (name) => get(name).shape,
    };
  } finally {
    await file.close();
  }
}

export async function readJson(path: string): Promise<any> {
  return JSON.parse(await readFile(path, "utf8"));
}

/** Names in a folder, sorted; none where there is no such folder. */
export async function list(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

/** Whether the loader knows this `model_type`. */
export function isSupported(architecture: string): boolean {
  return huggingFaceArchitectures.has(architecture);
}

export interface OpenOptions {
  features?: Partial<GraphFeatures>;
  weights?: WeightFormat;
  threads?: number;
  packs?: (model: ModelFile) => Promise<Packs>;
  /** File of a Hugging Face folder that is read as its `config.json`. */
  configFile?: string;
}

export interface Opened {
  engine: Engine;
  model: ModelFile;
  /** Closes the engine and the model and removes what was prepared for them. */
  close(): Promise<void>;
}

/** Opens the file of a model. @param configFile of a Hugging Face folder, read as its `config.json` */
export async function openFile(path: string, configFile = "config.json"): Promise<ModelFile> {
  if (path.endsWith(".gguf")) return await openGguf(await files.open(path));
  const renamed: FileSystem = {
    ...files,
    open: (file) => files.open(file === join(path, "config.json") ? join(path, configFile) : file),
  };
  return await openSafetensors(renamed, path);
}

/** Opens a Hugging Face folder or a .gguf file. What is prepared goes into a fresh folder: nothing of an earlier run is trusted. */
export async function open(path: string, options: OpenOptions = {}): Promise<Opened> {
  const { weights = "f32", threads = 1, configFile } = options;
  const folder = await mkdtemp(join(tmpdir(), "palimpsest-test-"));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  try {
    const model = await openFile(path, configFile);
    const features = { ...NO_FEATURES, ...options.features };
    const prepared = await prepare(files, folder, model, weights, features);
    const packs = await options.packs?.(model);
    const engine = await openCpu(await loadOnnxRuntimeNode(), prepared, model.config, features, threads, packs);
    return {
      engine,
      model,
      async close() {
        await engine.close();
        await model.close();
        await removeFolder();
      },
    };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

/** Opens, uses and closes. */
export async function using<T>(path: string, options: OpenOptions, use: (opened: Opened) => Promise<T>): Promise<T> {
  const opened = await open(path, options);
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}
