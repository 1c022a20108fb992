/**
 * Opens Hugging Face model folders: `config.json` and `model.safetensors`, in one file or in the shards of an index.
 */
import { ModelError } from "../errors.ts";
import type { FileSystem, RandomAccessFile } from "../files.ts";
import { checkTensors } from "./architectures/tensors.ts";
import { architectureOf, huggingFaceConfig } from "./safetensors/config.ts";
import { parseObject, readSafetensors, type SafetensorsFile } from "./safetensors/read.ts";
import { isTurned, type Place, reordered, rowOrder, taken, withGains } from "./stored_tensors.ts";
import type { ModelFile, TensorType } from "./weights.ts";

export { readSafetensors, type SafetensorsFile } from "./safetensors/read.ts";

const MAX_JSON_BYTES = 1 << 26;

/**
 * Opens the model in `folder`: reads `config.json` and the headers, and no tensor.
 *
 * @throws {ModelError} when a file is missing, damaged, of another architecture or of another type than F32, F16, BF16.
 */
export async function openSafetensors(files: FileSystem, folder: string): Promise<ModelFile> {
  const configPath = files.join(folder, "config.json");
  const folderName = folder.replace(/[/\\]+$/, "").replace(/^.*[/\\]/, "");
  const json = await readJson(files, configPath), architecture = architectureOf(configPath, json);
  const config = huggingFaceConfig(configPath, architecture, json, folderName);

  const opened: SafetensorsFile[] = [];
  const close = async () => {
    for (const file of opened) await file.close();
  };
  try {
    for (const path of await weightFiles(files, folder)) opened.push(await openArrays(await openFile(files, path)));
    const tensors = taken(folder, collect(opened, config.tied), config, architecture), order = rowOrder(config, false);
    const { huggingFace } = architecture;
    checkTensors(folder, config, tensors);
    return {
      format: "safetensors",
      path: folder,
      config,
      metadata: new Map(),
      tensors,
      async tensor(name) {
        const place = tensors.get(name);
        if (!place) throw new ModelError(`Cannot read tensor ${name}: model ${folder} has none of that name`);
        const bytes = await place.file.slice(place.offset, place.byteLength), { type, shape } = place;
        const ordered = order && isTurned(name) ? reordered(bytes, shape[0]!, order) : bytes;
        return withGains({ name, type, shape: [...shape], bytes: ordered }, huggingFace.gainsPlus ?? 0, config);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openArrays(file: RandomAccessFile): Promise<SafetensorsFile> {
  try {
    return await readSafetensors(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** `model.safetensors`, else the shards that its index names: files of the same folder only. */
async function weightFiles(files: FileSystem, folder: string): Promise<string[]> {
  const single = files.join(folder, "model.safetensors");
  if (await files.exists(single)) return [single];
  const indexPath = single + ".index.json";
  if (!await files.exists(indexPath)) {
    throw new ModelError(
      `Cannot open model ${folder}: it has neither model.safetensors nor model.safetensors.index.json; ` +
        "give a Hugging Face folder with safetensors weights, or a .gguf file",
    );
  }
  const map = (await readJson(files, indexPath)).weight_map;
  const names = new Set<unknown>(typeof map === "object" && map !== null ? Object.values(map) : []);
  if (names.size === 0 || names.size > 4096) {
    throw new ModelError(`Cannot read ${indexPath}: its weight_map names ${names.size} files; 1 to 4096 work`);
  }
  return [...names].map((name) => {
    if (typeof name !== "string" || !/^[\w-][\w.-]*\.safetensors$/.test(name)) {
      throw new ModelError(
        `Cannot read ${indexPath}: it names ${
          JSON.stringify(name)?.slice(0, 80)
        }; files beside it that end in .safetensors work`,
      );
    }
    return files.join(folder, name);
  });
}

interface StoredTensor extends Place {
  type: TensorType;
  file: SafetensorsFile;
}

/**
 * Arrays by our names. Precomputed frequency tables of old checkpoints are left out, and `lm_head` where it is the
 * embedding matrix.
 */
function* collect(opened: SafetensorsFile[], tied: boolean): Generator<[string, StoredTensor]> {
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
  const file = await openFile(files, path);
  try {
    if (file.size > MAX_JSON_BYTES) {
      throw new ModelError(`Cannot read ${path}: it has ${file.size} bytes; up to ${MAX_JSON_BYTES} work`);
    }
    const json = parseObject(await file.read(0, file.size));
    if (!json) throw new ModelError(`Cannot read ${path}: it is no JSON object; fetch it again`);
    return json;
  } finally {
    await file.close();
  }
}

async function openFile(files: FileSystem, path: string): Promise<RandomAccessFile> {
  if (!await files.exists(path)) throw new ModelError(`Cannot open model file ${path}: it does not exist`);
  return files.open(path);
}
