/** Models of a hub repository, through `@huggingface/hub`: the file's size and checksum from the hub, its bytes with resume. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm, stat, truncate } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { ModelError } from "../../core/errors.ts";
import { writeError } from "../host.ts";
import type { FetchedFile, FetchOptions } from "./fetched.ts";
import { claimPartial } from "./partial.ts";

/** A file of a hub repository. */
export interface HubSource {
  repository: string;
  file: string;
  /** Wanted checksum; without it, what the hub states for the file. */
  sha256?: string;
}

const attempts = 4;

/**
 * Fetches one file. HF_ENDPOINT names another hub, HF_TOKEN a token for private repositories. A connection that breaks is taken up again where it
 * ended, now and by the next `pull`.
 * @throws {ModelError} when the hub cannot be reached, does not have the file, or sends other bytes than it states.
 */
export async function fetchFromHub(source: HubSource, options: FetchOptions): Promise<FetchedFile> {
  try {
    const wanted = await describe(source, options.signal);
    const temporary = await download(source, wanted, options);
    return { temporary, file: basename(source.file), ...wanted, source: `hub ${source.repository} ${source.file}` };
  } catch (error) {
    options.signal.throwIfAborted();
    const mapped = await writeError(options.folder, error);
    if (mapped instanceof ModelError || mapped !== error) throw mapped;
    throw new ModelError(`Cannot fetch ${source.file} of ${source.repository}: ${reason(error)}`, { cause: error });
  }
}

/** "hf:owner/name:file.gguf" → its parts; null for anything else. */
export function parseHubName(text: string): HubSource | null {
  const found = /^hf:([\w.-]+\/[\w.-]+):([^:]+\.gguf)$/i.exec(text);
  return found && !found[2]!.split("/").includes("..") ? { repository: found[1]!, file: found[2]! } : null;
}

interface Wanted {
  sha256: string;
  size: number;
}

async function describe(source: HubSource, signal: AbortSignal): Promise<Wanted> {
  const { pathsInfo } = await import("@huggingface/hub");
  const [info] = await pathsInfo({ ...access(signal), repo: source.repository, paths: [source.file] });
  if (info?.type !== "file") throw new ModelError(`The repository ${source.repository} has no file ${source.file}`);
  const sha256 = source.sha256 ?? info.lfs?.oid;
  if (!sha256) {
    throw new ModelError(
      `The hub states no SHA-256 for ${source.file} of ${source.repository}, so it cannot be verified`,
    );
  }
  return { sha256, size: info.lfs?.size ?? info.size };
}

async function download(source: HubSource, wanted: Wanted, options: FetchOptions): Promise<string> {
  const part = await claimPartial(join(options.folder, ".partial"), wanted.sha256);
  let resumed = part.size > 0;
  for (let attempt = 1;; attempt++) {
    try {
      if (part.size < wanted.size) part.size = await append(source, part.path, part.size, wanted, options);
      const found = await hashOf(part.path, part.size, options);
      if (found === wanted.sha256 && part.size === wanted.size) return part.path;
      // Wrong bytes are of no use to a later pull.
      await truncate(part.path, 0);
      part.size = 0;
      // The beginning may be an older file's: once, try again from zero.
      if (resumed) {
        resumed = false;
        continue;
      }
      await rm(part.path, { force: true });
      throw new ModelError(`${source.file} has SHA-256 ${found}, but ${wanted.sha256} was expected: not kept`);
    } catch (error) {
      options.signal.throwIfAborted();
      const code = (error as { code?: string }).code;
      if (error instanceof ModelError || code === "ENOSPC" || code === "EDQUOT" || attempt === attempts) throw error;
      // A server that cannot continue must begin again.
      if (String((error as Error).message ?? error) === rangeRefused) await truncate(part.path, 0);
      const { size } = await stat(part.path);
      resumed ||= size > 0;
      part.size = size;
      await new Promise((done) => setTimeout(done, 250 * 2 ** attempt));
    }
  }
}

async function append(
  source: HubSource,
  path: string,
  from: number,
  wanted: Wanted,
  options: FetchOptions,
): Promise<number> {
  const { downloadFile } = await import("@huggingface/hub");
  // Plain HTTP ranges, not the hub's chunk protocol: a partial file can then be continued by any later pull.
  const blob = await downloadFile({
    ...access(options.signal),
    repo: source.repository,
    path: source.file,
    xet: false,
  });
  if (!blob) throw new ModelError(`The repository ${source.repository} has no file ${source.file}`);
  const handle = await open(path, "r+");
  let done = from;
  try {
    for await (const bytes of piecesOf(blob.slice(from, wanted.size).stream())) {
      options.signal.throwIfAborted();
      for (let written = 0; written < bytes.length;) {
        const result = await handle.write(bytes, written, bytes.length - written, done);
        written += result.bytesWritten;
        done += result.bytesWritten;
      }
      options.progress("fetching", done, wanted.size);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (done < wanted.size) throw new Error(`the connection ended after ${done} of ${wanted.size} bytes`);
  return done;
}

/** A stream's pieces through a reader: not every runtime's type of ReadableStream can be iterated. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function hashOf(path: string, size: number, options: FetchOptions): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    options.signal.throwIfAborted();
    hash.update(piece as Uint8Array);
    options.progress("verifying", done += (piece as Uint8Array).length, size);
  }
  return hash.digest("hex");
}

/** Address, token and interruption for every request. */
function access(signal: AbortSignal) {
  const hubUrl = process.env.HF_ENDPOINT?.replace(/\/+$/, "");
  const accessToken = process.env.HF_TOKEN;
  return {
    ...(hubUrl ? { hubUrl } : {}),
    ...(accessToken ? { accessToken } : {}),
    fetch: ((input, init) => checkedFetch(input, { ...init, signal })) as typeof fetch,
  };
}

/** A sentence and not a class: the library's stream passes on nothing but an error's message. */
const rangeRefused = "the server cannot continue a partial download";

/** Refuses a whole file where a part was asked for: it would be appended to the part that is already there. */
async function checkedFetch(input: Parameters<typeof fetch>[0], init: RequestInit): Promise<Response> {
  const response = await fetch(input, init);
  const range = new Headers(init.headers).get("range");
  if (range && !/^bytes=0-/.test(range) && response.status === 200) {
    await response.body?.cancel();
    throw new Error(rangeRefused);
  }
  return response;
}

function reason(error: unknown): string {
  const { message, statusCode } = error as { message?: string; statusCode?: number };
  if (statusCode === 401 || statusCode === 403) return "access denied, a token can be given in HF_TOKEN";
  if (statusCode === 404) return "no such repository or file";
  return (message || String(error)).split("\n")[0]!.replace(/[.\s]+$/, "");
}
