/** Documents named on the command line, or piped in, as sources of bytes. */
import { open, stat } from "node:fs/promises";
import process from "node:process";
import { InputError } from "../core/errors.ts";
import type { Source } from "../core/text/document.ts";
import { notText, SNIFFED_BYTES } from "../core/text/document_kind.ts";
import { utf16Of } from "../core/text/formats/head.ts";
import { readPlain } from "../core/text/formats/plain.ts";
import { whole } from "../core/text/formats/whole.ts";
import { documentsBelow, headOf, notDocument } from "./folder_documents.ts";

const pieceBytes = 64 * 1024;

/**
 * The sources of a command line: files in the order given, `-` (once) for stdin; a folder or a pattern stands for the documents below it, in the order of their
 * names (`folder_documents.ts`). Existence and kind are checked now, so that a misspelt name is told
 * before a model is loaded; the bytes are read when the source is iterated.
 * @param onRemark told what of a folder was left out
 * @throws {InputError} for a missing or unreadable file, one that is no document, and for a folder or pattern without documents
 */
export async function openDocuments(
  names: string[],
  onRemark: (message: string) => void = () => {},
): Promise<Source[]> {
  if (names.filter((name) => name === "-").length > 1) {
    throw new InputError("stdin (-) can be one of the documents only once");
  }
  const sources: Source[] = [];
  for (const name of names) {
    if (name === "-") sources.push(stdinSource());
    else {
      const found = await documentsBelow(name, onRemark);
      for (const path of found ?? [name]) sources.push(await fileSource(path));
      if (!found && sources.at(-1)!.repeatable) await refuseNoDocument(name);
    }
  }
  return sources;
}

/** Told now: an hour may go into the documents before it. */
async function refuseNoDocument(path: string): Promise<void> {
  const head = await headOf(path).catch((error) => Promise.reject(inputError(path, error)));
  const reason = await notDocument(head, path);
  if (reason !== null) throw new InputError(`${path} ${reason}`);
}

async function fileSource(path: string): Promise<Source> {
  const info = await stat(path).catch((error) => {
    throw inputError(path, error);
  });
  // Opened once here only to learn about permissions early; a pipe is opened once, when it is read.
  if (info.isFile()) {
    await open(path, "r").then((handle) => handle.close(), (error) => Promise.reject(inputError(path, error)));
  }
  if (!info.isFile()) return { name: path, chunks: readPieces(path) };
  return { name: path, size: info.size, repeatable: true, chunks: { [Symbol.asyncIterator]: () => readPieces(path) } };
}

async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, "r").catch((error) => {
    throw inputError(path, error);
  });
  try {
    while (true) {
      const bytes = new Uint8Array(pieceBytes);
      const { bytesRead } = await handle.read(bytes, 0, pieceBytes, null).catch((error) => {
        throw inputError(path, error);
      });
      if (bytesRead === 0) return;
      yield bytes.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Stdin as it arrives: nothing is read ahead of the pipeline, so a pipe of any length needs no more memory than a short one. */
export function stdinSource(): Source {
  return { name: "stdin", chunks: readStdin() };
}

async function* readStdin(): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of process.stdin) {
      yield typeof piece === "string" ? new TextEncoder().encode(piece) : piece as Uint8Array;
    }
  } catch (error) {
    throw inputError("stdin", error);
  }
}

/**
 * All of a file, or of stdin (`-`): for what is no document. In whatever encoding documents may be.
 * @param is what it should be, for messages
 * @throws {InputError} where it cannot be read, or is no text
 */
export async function wholeText(name: string, is: string, onRemark: (message: string) => void): Promise<string> {
  const { name: called, chunks } = name === "-" ? stdinSource() : await fileSource(name);
  const bytes = await whole(chunks, called);
  if (!utf16Of(bytes) && notText(called, bytes.subarray(0, SNIFFED_BYTES)) !== null) {
    throw new InputError(`${called} is no ${is}: it must be text`);
  }
  if (bytes.every((byte) => byte <= 0x20)) return "";
  let text = "";
  const once = (async function* () {
    yield bytes;
  })();
  for await (const piece of readPlain(once, { name: called, onWarning: onRemark })) text += piece.text;
  return text;
}

export async function isFile(path: string): Promise<boolean> {
  return await stat(path).then((info) => info.isFile(), () => false);
}

/** Is anything but a keyboard connected to stdin? */
export function stdinIsPiped(): boolean {
  return process.stdin.isTTY !== true;
}

function inputError(name: string, error: unknown): InputError {
  const code = (error as { code?: string }).code;
  const reason = code === "ENOENT"
    ? "no such file"
    : code === "ENOTDIR"
    ? "a part of its path is not a directory"
    : code === "EACCES" || code === "EPERM"
    ? "no permission to read it"
    : code === "ENAMETOOLONG"
    ? "the name is too long"
    : code === "EISDIR"
    ? "it is a folder, and a file is needed"
    : String((error as Error).message ?? error);
  return new InputError(`Cannot read ${name || '""'}: ${reason}`, { cause: error });
}
