/** Opens a model, whatever it is stored as. What a file is, its first bytes say, and not its name. */
import { ModelError } from "../errors.ts";
import type { FileSystem, RandomAccessFile } from "../files.ts";
import { openGguf } from "./gguf.ts";
import { openSafetensors } from "./safetensors.ts";
import { BESIDE } from "./safetensors/folder.ts";
import type { ModelFile } from "./weights.ts";

/**
 * @param path a GGUF file; a Hugging Face folder; or a file with weights of such a folder, or their index
 * @throws {ModelError} when it is missing, damaged, or a model that cannot be run
 */
export async function openModelFile(files: FileSystem, path: string): Promise<ModelFile> {
  if (await files.list(path) !== null) return await openSafetensors(files, path);
  const file = await files.open(path),
    kind = await kindOf(file).catch(async (error) => {
      await file.close();
      throw error;
    });
  if (kind === "gguf") return await openGguf(file);
  await file.close();
  const name = nameOf(path), isBeside = BESIDE.some((beside) => beside === name);
  if (kind === "safetensors") return await openSafetensors(files, folderOf(path), isBeside ? undefined : name);
  throw new ModelError(
    `Cannot use model ${path}: it is neither GGUF nor safetensors; a .gguf file works, and a Hugging Face folder`,
  );
}

async function kindOf(file: RandomAccessFile): Promise<"gguf" | "safetensors" | null> {
  const start = await file.read(0, Math.min(file.size, 9)), text = new TextDecoder("latin1").decode(start);
  if (text.startsWith("GGUF")) return "gguf";
  // the length of a header that is an object in JSON, and an index is one
  if (text[8] === "{" || text.startsWith("{") || /\.safetensors$/i.test(file.path)) return "safetensors";
  return /\.gguf$/i.test(file.path) ? "gguf" : null;
}

const folderOf = (path: string) => /[/\\]/.test(path) ? path.replace(/[^/\\]*$/, "").replace(/(.)[/\\]+$/, "$1") : ".";
const nameOf = (path: string) => path.replace(/^.*[/\\]/, "");
