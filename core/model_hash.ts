/** What a model is called by in caches, records and saved states: anything that changes an answer changes it. */
import type { ModelFile } from "./engine/weights.ts";
import type { FileSystem } from "./files.ts";
import { sha256 } from "./pack/sha256.ts";

/**
 * Of a file, its SHA-256. Of a folder, the SHA-256 of a list of all files that are read of it, weights, tokenizer and template alike, a line
 * `<sha256>  <name>` each in the order of names: what `sha256sum $(ls …) | sha256sum` says there. File times and sizes would be quicker, and wrong after
 * one edit too many: weights of another fine-tuning have the same size.
 * @returns 64 hexadecimal digits
 */
export async function modelSha256(files: FileSystem, model: Pick<ModelFile, "files">): Promise<string> {
  const [first, ...more] = model.files;
  if (more.length === 0) return await files.sha256(first!);
  let list = "";
  for (const path of model.files) list += `${await files.sha256(path)}  ${path.replace(/^.*[/\\]/, "")}\n`;
  return await sha256(new TextEncoder().encode(list));
}
