/** Folders and patterns (`docs/`, `docs/**\/*.pdf`) as documents. */
import { open, stat } from "node:fs/promises";
import { InputError } from "../core/errors.ts";
import { formatOf } from "../core/text/formats/all.ts";
import { utf16Of } from "../core/text/formats/head.ts";
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
  const head = await headOf(path);
  if (isReport(head)) return false;
  if (isPacked(head)) return /\.(txt|md|html?|pdf|csv|log|xml|json)\.gz$/i.test(path);
  return await notDocument(head, path) === null;
}

/** The bytes of a file that tell what it is. */
export async function headOf(path: string): Promise<Uint8Array> {
  const handle = await open(path, "r");
  try {
    const bytes = new Uint8Array(SNIFFED_BYTES), { bytesRead } = await handle.read(bytes, 0, SNIFFED_BYTES, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Why a file is no document, as a predicate; null where its beginning says nothing against it. What is packed is known when it is read. */
export async function notDocument(head: Uint8Array, path: string): Promise<string | null> {
  if (head.length === 0) return "is empty: a document needs text";
  if (isPacked(head)) return null;
  const pieces = (async function* () {
    yield head;
  })();
  const { type } = await formatOf(pieces, path), isPlain = type === "text" || type === "markdown";
  return isPlain && !utf16Of(head) ? notText(path, head) : null;
}

const isPacked = (head: Uint8Array) => head[0] === 0x1f && head[1] === 0x8b;
