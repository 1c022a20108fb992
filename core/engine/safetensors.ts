/**
 * Opens Hugging Face model folders: `config.json` and `model.safetensors`, in one file or in the shards of an index.
 */
import { ModelError } from "../errors.ts";
import type { FileSystem, RandomAccessFile } from "../files.ts";
import { checkTensors } from "./architectures/tensors.ts";
import { architectureOf, huggingFaceConfig } from "./safetensors/config.ts";
import { BESIDE, INDEX, WEIGHTS } from "./safetensors/folder.ts";
import { parseObject, readSafetensors, type SafetensorsFile } from "./safetensors/read.ts";
import { isTurned, partOf, type Place, reordered, rowOrder, taken, withGains } from "./stored_tensors.ts";
import type { ModelFile, TensorType } from "./weights.ts";

export { readSafetensors, type SafetensorsFile } from "./safetensors/read.ts";

/** The largest tokenizer.json in use has half as many. */
const MAX_SMALL_BYTES = 1 << 26;

/**
 * Opens the model in `folder`: reads `config.json` and the headers, and no tensor.
 *
 * @param named the file with the weights, or their index; default: what the folder has
 * @throws {ModelError} when a file is missing, damaged, of another architecture or of another type than F32, F16, BF16.
 */
export async function openSafetensors(files: FileSystem, folder: string, named?: string): Promise<ModelFile> {
  const names = await files.list(folder) ?? [], configPath = files.join(folder, "config.json");
  if (!names.includes("config.json")) throw noConfig(folder, names);
  const json = await readJson(files, configPath), architecture = architectureOf(configPath, json);
  const config = huggingFaceConfig(configPath, architecture, json, lastName(folder));
  const weights = await weightFiles(files, folder, names, named);

  const opened = new Map<string, SafetensorsFile>();
  const close = async () => {
    for (const file of opened.values()) await file.close();
  };
  try {
    for (const name of weights.names) {
      opened.set(name, await openArrays(await files.open(files.join(folder, name))));
    }
    checkPlaces(folder, weights, opened);
    // a family's own default decides in transformers, and agrees with what the file holds
    if (typeof json.tie_word_embeddings !== "boolean") config.tied = !holds(opened, "lm_head.weight");
    const stored = collect(opened.values(), config.tied);
    const tensors = taken(folder, stored, config, architecture);
    const { huggingFace } = architecture;
    checkTensors(folder, config, tensors);
    const order = rowOrder(config, false);
    return {
      format: "safetensors",
      path: folder,
      config,
      metadata: new Map(),
      tensors,
      async tensor(name, part) {
        const whole = tensors.get(name);
        if (!whole) throw new ModelError(`Cannot read tensor ${name}: model ${folder} has none of that name`);
        const place = partOf(whole, part);
        const bytes = await place.file.slice(place.offset, place.byteLength), { type, shape } = place;
        const ordered = order && isTurned(name) ? reordered(bytes, shape[0]!, order) : bytes;
        return withGains({ name, type, shape: [...shape], bytes: ordered }, huggingFace.gainsPlus ?? 0, config);
      },
      files: [
        ...BESIDE.filter((name) => names.includes(name)),
        ...weights.index ? [weights.index] : [],
        ...weights.names,
      ]
        .sort().map((name) => files.join(folder, name)),
      beside: async (name) => names.includes(name) ? await readSmall(files, files.join(folder, name)) : null,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The last part of a path. */
const lastName = (path: string) => path.replace(/[/\\]+$/, "").replace(/^.*[/\\]/, "");

function noConfig(folder: string, names: readonly string[]): ModelError {
  const gguf = names.filter((name) => /\.gguf$/i.test(name)).sort();
  if (gguf.length > 0) {
    return new ModelError(`Cannot open model ${folder}: it is a folder of GGUF files, name one: ${shownNames(gguf)}`);
  }
  return new ModelError(
    `Cannot open model ${folder}: it has no config.json; a Hugging Face folder with safetensors weights, or a .gguf file, works`,
  );
}

const shownNames = (names: string[]) => names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");

async function openArrays(file: RandomAccessFile): Promise<SafetensorsFile> {
  try {
    return await readSafetensors(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Files with weights, by their names in the folder. */
interface Weights {
  names: string[];
  /** What named them. */
  index: string | null;
  /** In which file a tensor stands, as the index says; empty without one. */
  places: Map<string, string>;
}

/** `model.safetensors`, else the shards that its index names: files of the same folder only. */
async function weightFiles(
  files: FileSystem,
  folder: string,
  names: readonly string[],
  named?: string,
): Promise<Weights> {
  const chosen = named ?? [WEIGHTS, INDEX].find((name) => names.includes(name));
  if (chosen === undefined) throw noWeights(folder, names);
  if (!chosen.endsWith(".json")) {
    // one shard of several is named: its model is what the index says
    const index = names.includes(INDEX) && chosen !== WEIGHTS ? await readIndex(files, folder, names, INDEX) : null;
    return index?.names.includes(chosen) ? index : { names: [chosen], index: null, places: new Map() };
  }
  return await readIndex(files, folder, names, chosen);
}

async function readIndex(
  files: FileSystem,
  folder: string,
  present: readonly string[],
  index: string,
): Promise<Weights> {
  const path = files.join(folder, index), map = (await readJson(files, path)).weight_map;
  const places = new Map<string, unknown>(typeof map === "object" && map !== null ? Object.entries(map) : []);
  const names = new Set(places.values());
  if (names.size === 0 || names.size > 4096) {
    throw new ModelError(`Cannot read ${path}: its weight_map names ${names.size} files; 1 to 4096 work`);
  }
  for (const name of names) {
    if (typeof name !== "string" || !/^[\w-][\w.-]{0,200}\.safetensors$/.test(name)) {
      const shown = JSON.stringify(name)?.slice(0, 80);
      throw new ModelError(`Cannot read ${path}: it names ${shown}; files beside it that end in .safetensors work`);
    }
  }
  const missing = ([...names] as string[]).filter((name) => !present.includes(name)).sort();
  if (missing.length > 0) {
    throw new ModelError(
      `Cannot open model ${folder}: ${missing.length} of its ${names.size} files of weights are missing, fetch ` +
        shownNames(missing),
    );
  }
  return { names: [...names] as string[], index, places: places as Map<string, string> };
}

function noWeights(folder: string, names: readonly string[]): ModelError {
  const shards = names.some((name) => /^model-\d+-of-\d+\.safetensors$/.test(name));
  const pickled = names.find((name) => /^pytorch_model.*\.bin$/.test(name));
  return new ModelError(
    `Cannot open model ${folder}: it has neither ${WEIGHTS} nor ${INDEX}; ` + (
      shards
        ? "fetch the index that belongs to its files of weights"
        : pickled
        ? `${pickled} cannot be used, safetensors or GGUF works`
        : "give a Hugging Face folder with safetensors weights, or a .gguf file"
    ),
  );
}

/** @throws {ModelError} where a file lacks a tensor that the index sees in it */
function checkPlaces(folder: string, { index, places }: Weights, opened: ReadonlyMap<string, SafetensorsFile>): void {
  for (const [tensor, name] of places) {
    if (opened.get(name)!.arrays.has(tensor)) continue;
    throw new ModelError(
      `Cannot use model ${folder}: ${index} says that ${name} holds ${JSON.stringify(tensor.slice(0, 80))}, ` +
        "and it does not; fetch both again",
    );
  }
}

function holds(opened: ReadonlyMap<string, SafetensorsFile>, tensor: string): boolean {
  return [...opened.values()].some((file) => file.arrays.has(tensor));
}

interface StoredTensor extends Place {
  type: TensorType;
  file: SafetensorsFile;
}

/**
 * Arrays by our names. Precomputed frequency tables of old checkpoints are left out, and `lm_head` where it is the
 * embedding matrix.
 */
function* collect(opened: Iterable<SafetensorsFile>, tied: boolean): Generator<[string, StoredTensor]> {
  for (const file of opened) {
    for (const [stored, { dtype, shape, offset, byteLength }] of file.arrays) {
      const name = stored.replace(/^model\./, "").replace(/\.weight$/, "");
      if (name.endsWith(".rotary_emb.inv_freq") || (tied && name === "lm_head")) continue;
      if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
        throw new ModelError(
          `Cannot use model ${file.path}: tensor ${stored} is ${dtype}; F32, F16 and BF16 work, ` +
            "and GGUF for quantised models",
        );
      }
      yield [name, { type: dtype, shape, offset, byteLength, file }];
    }
  }
}

async function readJson(files: FileSystem, path: string): Promise<Record<string, unknown>> {
  const json = parseObject(await readSmall(files, path));
  if (!json) throw new ModelError(`Cannot read ${path}: it is no JSON object; fetch it again`);
  return json;
}

async function readSmall(files: FileSystem, path: string): Promise<Uint8Array> {
  const file = await files.open(path);
  try {
    if (file.size > MAX_SMALL_BYTES) {
      throw new ModelError(`Cannot read ${path}: it has ${file.size} bytes; up to ${MAX_SMALL_BYTES} work`);
    }
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}
