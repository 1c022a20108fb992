/** Folders and patterns (`docs/`, `docs/**\/*.pdf`) as documents. */
import { open, stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import process from "node:process";
import { InputError } from "../core/errors.ts";
import { formatOf } from "../core/text/formats/all.ts";
import { notText, SNIFFED_BYTES } from "../core/text/document_kind.ts";

/** More files than anybody means to have read as one document. */
const MOST = 10_000;

/**
 * Documents below a folder, or those that a pattern finds, by their names; null for the name of anything else. Hidden files, and what no text can be read of,
 * are left out; links to folders are not followed.
 * @throws {InputError} where there is none
 */
export async function documentsBelow(name: string, onRemark: (message: string) => void): Promise<string[] | null> {
  const info = await stat(name).catch(() => null), isFolder = info?.isDirectory() ?? false;
  if (!isFolder && (info || !/[*?[{]/.test(name))) return null;
  const { glob } = await import("tinyglobby");
  const options = { onlyFiles: true, followSymbolicLinks: false, expandDirectories: false };
  const found = isFolder
    ? (await glob("**/*", { ...options, cwd: name })).map((path) => join(name, path))
    : (await glob(name.replaceAll("\\", "/"), { ...options, absolute: true }))
      .map((path) => isAbsolute(name) ? path : relative(process.cwd(), path));
  if (found.length > MOST) {
    throw new InputError(`${name} has ${found.length} files, more than ${MOST}: name some of them`);
  }
  found.sort((a, b) => a < b ? -1 : 1);
  const documents: string[] = [];
  for (const path of found) if (await isDocument(path)) documents.push(path);
  const others = found.length - documents.length;
  if (documents.length === 0) {
    throw new InputError(
      found.length === 0
        ? `${name}: no file is there`
        : `${name}: none of its ${found.length} files can be read as text`,
    );
  }
  if (others > 0) onRemark(`${name}: ${others} of ${found.length} files are no text and were left out`);
  return documents;
}

/** By what it holds: its beginning is read. Empty files are none. */
async function isDocument(path: string): Promise<boolean> {
  const handle = await open(path, "r").catch(() => null);
  if (!handle) return false;
  try {
    const bytes = new Uint8Array(SNIFFED_BYTES), { bytesRead } = await handle.read(bytes, 0, SNIFFED_BYTES, 0);
    const head = bytes.subarray(0, bytesRead);
    if (bytesRead === 0) return false;
    // what is packed is known when it is read
    if (head[0] === 0x1f && head[1] === 0x8b) return /\.(txt|md|html?|pdf|csv|log|xml|json)\.gz$/i.test(path);
    const { type } = await formatOf(
      (async function* () {
        yield head;
      })(),
      path,
    );
    const isPlain = type === "text" || type === "markdown", isWide = head[0]! >= 0xfe && head[1]! >= 0xfe;
    return !isPlain || isWide || notText(path, head) === null;
  } finally {
    await handle.close();
  }
}
