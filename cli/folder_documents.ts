/** Folders and patterns (`docs/`, `docs/**\/*.pdf`) as documents. */
import { open, stat } from "node:fs/promises";
import { InputError } from "../core/errors.ts";
import { formatOf } from "../core/text/formats/all.ts";
import { isReport } from "../core/report/mark.ts";
import { notText, SNIFFED_BYTES } from "../core/text/document_kind.ts";

/** More files than anybody means to have read as one document. */
const MOST = 10_000;

/**
 * Documents below a folder, or those that a pattern finds, by their names; null for the name of anything else. Hidden files, and what no text can be read of,
 * are left out.
 * @throws {InputError} where there is none
 */
export async function documentsBelow(name: string, onRemark: (message: string) => void): Promise<string[] | null> {
  const info = await stat(name).catch(() => null), isFolder = info?.isDirectory() ?? false;
  if (!isFolder && (info || !/[*?[{]/.test(name))) return null;
  const { foundFiles } = await import("./found_files.ts");
  const unreadable: string[] = [], found = await foundFiles(name, isFolder, (folder) => unreadable.push(folder));
  if (found.length > MOST) {
    throw new InputError(`${name} has ${found.length} files, more than ${MOST}: name some of them`);
  }
  const documents: string[] = [];
  let others = 0;
  for (const path of found) {
    const is = await isDocument(path).catch(() => null);
    if (is) documents.push(path);
    else if (is === false) others++;
    else unreadable.push(path);
  }
  const lost = [...unreadable.slice(0, 3), ...unreadable.length > 3 ? [`${unreadable.length - 3} more`] : []].join(
    ", ",
  );
  if (documents.length === 0) {
    throw new InputError(
      lost
        ? `${name}: no document is there that can be read (${lost} cannot)`
        : found.length === 0
        ? `${name}: no file is there`
        : `${name}: none of its ${found.length} files can be read as text`,
    );
  }
  if (others > 0) onRemark(`${name}: ${others} of ${found.length} files are no documents and were left out`);
  if (lost) onRemark(`${name}: left out what could not be read: ${lost}`);
  return documents;
}

/** By what it holds: its beginning is read. Empty files are none, nor are reports of earlier answers. */
async function isDocument(path: string): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const bytes = new Uint8Array(SNIFFED_BYTES), { bytesRead } = await handle.read(bytes, 0, SNIFFED_BYTES, 0);
    const head = bytes.subarray(0, bytesRead);
    if (bytesRead === 0 || isReport(head)) return false;
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
