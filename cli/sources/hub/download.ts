/**
 * Fetches a file's bytes by ranges, several at once, into a partial download. What breaks off is taken up where it ended; a server that ignores ranges is
 * asked for everything, from the start.
 */
import { type FileHandle, open } from "node:fs/promises";
import { ModelError } from "../../../core/errors.ts";
import type { PartialDownload } from "../partial.ts";
import { byteCount, missingRanges, pieces, type Range } from "../ranges.ts";
import { type Answer, type Hub, patienceMs, plainEtag, reasonOf, Unreachable } from "./access.ts";
import type { HubFile } from "./listing.ts";
import { backOff, mayPass } from "./retry.ts";

/** Connections at once: a hub's CDN gives each of them a share only. */
const connections = 4;
/** Smaller ones would spend their time on redirects, larger ones keep one connection busy long after the others. */
const leastPiece = 4 << 20, mostPiece = 64 << 20;
/** So many failures in a row end a download; a connection that brought this much before it broke starts the count anew. */
const mostFailures = 6, progressBytes = 16 << 20;
const saveEveryMs = 1000;

/** Of one file. */
export interface Download {
  hub: Hub;
  url: string;
  file: HubFile;
  part: PartialDownload;
  signal: AbortSignal;
  /** Called after every piece that came in. */
  progress(): void;
}

/**
 * @throws {ModelError} where the server sends another file than the hub listed
 * @throws {Unreachable} after too many failures; what came in stays
 */
export async function download(task: Download): Promise<void> {
  const { part, file } = task, handle = await open(part.path, "r+");
  const saving = setInterval(() => void part.save().catch(() => {}), saveEveryMs);
  try {
    const ranged = await inPieces(task, handle);
    if (!ranged) await whole(task, handle);
    // a file of another size, which was there before
    await handle.truncate(file.size);
    await handle.sync();
  } finally {
    clearInterval(saving);
    await handle.close();
    await part.save();
  }
}

/** Counts failures in a row, for each connection by itself: a network that is gone for a moment breaks them all. */
function patience(signal: AbortSignal) {
  let failures = 0, since = 0;
  return {
    came(bytes: number) {
      if ((since += bytes) >= progressBytes) failures = 0;
    },
    /** Waits, or gives up. */
    async failed(error: unknown): Promise<void> {
      since = 0;
      if (++failures >= mostFailures || !mayPass(error, signal)) throw error;
      await backOff(failures, error, signal);
    },
  };
}

/** @returns false where the server ignores ranges */
async function inPieces(task: Download, handle: FileHandle): Promise<boolean> {
  const { part, file, signal } = task, stop = new AbortController();
  const all = AbortSignal.any([signal, stop.signal]);
  const left = missingRanges(part.done, [0, file.size]), share = Math.ceil(byteCount(left) / connections);
  const queue = pieces(left, Math.min(mostPiece, Math.max(leastPiece, share)));
  let ignored = false, final: unknown = null;

  async function worker(): Promise<void> {
    const { failed, came } = patience(all);
    for (let piece = queue.shift(); piece && !stop.signal.aborted; piece = queue.shift()) {
      const wanted: Range = piece;
      try {
        const answer = await ask(task, wanted, all);
        if (answer.response.status === 200) {
          await answer.response.body?.cancel().catch(() => {});
          ignored = true;
          return stop.abort();
        }
        await store(task, handle, answer, wanted, all, came);
      } catch (error) {
        queue.unshift(...missingRanges(part.done, wanted));
        await failed(error).catch((last) => {
          // the first that gives up stops the others, whose errors are only echoes
          if (!stop.signal.aborted) final = last;
          stop.abort();
        });
      }
    }
  }

  await Promise.all(Array.from({ length: Math.min(connections, queue.length) }, worker));
  signal.throwIfAborted();
  if (final) throw final;
  return !ignored;
}

/** Everything in one answer, from the start: a break loses it all. */
async function whole(task: Download, handle: FileHandle): Promise<void> {
  const { part, file, signal } = task, { failed } = patience(signal);
  for (;;) {
    await part.restart();
    try {
      const answer = await task.hub.get(task.url);
      return await store(task, handle, answer, [0, file.size], signal, () => {});
    } catch (error) {
      signal.throwIfAborted();
      await failed(error).catch((final) => {
        if (!(final instanceof Unreachable)) throw final;
        throw new Unreachable(
          `${final.message}, and it sends no parts of a file (it ignores Range), so each try starts anew`,
        );
      });
    }
  }
}

async function ask({ hub, url, part, file }: Download, [from, to]: Range, signal: AbortSignal): Promise<Answer> {
  const unchanged = part.etag ? { "if-range": `"${part.etag}"` } : {};
  const answer = await hub.get(url, { range: `bytes=${from}-${to - 1}`, ...unchanged }, signal);
  checkStated(answer, file);
  // the hub's own statement is the file's hash; only without it, as with some mirrors, the server's word must do
  const etag = answer.stated.etag ? null : answer.response.headers.get("etag");
  if (answer.response.status === 206 && etag?.startsWith('"')) part.etag ??= plainEtag(etag);
  return answer;
}

/** @throws {ModelError} where the hub now means another file than it listed */
function checkStated({ response, stated }: Answer, { path, size, hash }: HubFile): void {
  const { headers, status } = response, isWhole = status === 200 && !headers.has("content-encoding");
  const total = /^bytes \d+-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "")?.[1];
  for (const text of [stated.size, total, isWhole ? headers.get("content-length") : null]) {
    const bytes = Number(text ?? size);
    if (bytes === size) continue;
    throw new ModelError(`${path} has ${bytes} bytes on the server, but the hub lists ${size}: not fetched`);
  }
  if (hash.kind === "sha256" && /^[0-9a-f]{64}$/.test(stated.etag ?? "") && stated.etag !== hash.hex) {
    throw new ModelError(
      `${path} has SHA-256 ${stated.etag} on the server, but the hub lists ${hash.hex}: not fetched`,
    );
  }
}

/** Writes an answer's bytes to their place. @throws {Unreachable} where fewer come than were asked for */
async function store(
  { part, file, progress }: Download,
  handle: FileHandle,
  { response }: Answer,
  [from, to]: Range,
  signal: AbortSignal,
  came: (bytes: number) => void,
): Promise<void> {
  const host = response.url ? new URL(response.url).host : "the server";
  const sent = /^bytes (\d+)-(\d+)\//.exec(response.headers.get("content-range") ?? "");
  if (response.status === 206 && (!sent || Number(sent[1]) !== from || Number(sent[2]) >= to)) {
    await response.body?.cancel().catch(() => {});
    throw new ModelError(
      `${host} sent ${sent ? `bytes ${sent[1]} to ${sent[2]}` : "no range"} of ${file.path}, not ${from} to ${to - 1}`,
    );
  }
  let at = from;
  for await (const bytes of bytesOf(response, host, signal)) {
    if (at + bytes.length > to) {
      throw new ModelError(
        `${host} sends more bytes of ${file.path} than the ${file.size} that the hub lists: not kept`,
      );
    }
    for (let written = 0; written < bytes.length;) {
      const result = await handle.write(bytes, written, bytes.length - written, at);
      part.add([at, at + result.bytesWritten]);
      written += result.bytesWritten;
      at += result.bytesWritten;
    }
    came(bytes.length);
    progress();
  }
  if (at < to) throw new Unreachable(`The connection to ${host} ended after ${at - from} of ${to - from} bytes`);
}

/** A body's pieces through a reader: not every runtime's type of ReadableStream can be iterated. A minute without any is a broken connection. */
async function* bytesOf(response: Response, host: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  let late: (error: unknown) => void = () => {}, timer: ReturnType<typeof setTimeout> | undefined;
  const stopped = new Promise<never>((_, failed) => late = failed);
  stopped.catch(() => {});
  const abort = () => late(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      timer = setTimeout(() => late(new Unreachable(`${host} sends nothing any more`)), patienceMs);
      const piece = await Promise.race([reader.read(), stopped]).catch((error) => {
        signal.throwIfAborted();
        throw error instanceof Unreachable
          ? error
          : new Unreachable(`The connection to ${host} broke: ${reasonOf(error)}`);
      });
      clearTimeout(timer);
      if (piece.done) return;
      yield piece.value;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    await reader.cancel().catch(() => {});
  }
}
