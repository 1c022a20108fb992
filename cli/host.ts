/** The machine below `core/`: files, memory and cores, over Node's API, which Bun and Deno both have. */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { access, mkdir, open, readdir, realpath, rename, rm, statfs } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import type { FileSystem, RandomAccessFile } from "../core/files.ts";
import { ModelError, PalimpsestError } from "../core/errors.ts";
import { readableBytes } from "./numbers.ts";
import { forgetTemporary, removeStale, temporaryName } from "./temporary.ts";

/** The file system that `core/` is given. Its files are models and what is made of them: read errors are ModelErrors. */
export const files: FileSystem = { open: openFile, exists, list, readFile: readWhole, writeAtomically, join, sha256 };

/** Reads end at 2 GB in places, whole files too. */
const MOST_AT_ONCE = 1 << 30;

async function openFile(path: string): Promise<RandomAccessFile> {
  const handle = await open(path, "r").catch((error) => {
    throw modelReadError(path, error);
  });
  const info = await handle.stat(), { size } = info;
  if (info.isDirectory()) {
    await handle.close();
    throw modelReadError(path, { code: "EISDIR" });
  }
  return {
    path,
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(MOST_AT_ONCE, length - done), offset + done);
        if (bytesRead === 0) {
          throw new ModelError(
            `${path} ends at byte ${size}, but ${length} bytes at ${offset} were asked for: it is truncated`,
          );
        }
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false);
}

async function list(path: string): Promise<string[] | null> {
  return await readdir(path).catch((error) => {
    const { code } = error as { code?: string };
    if (code === "ENOTDIR" || code === "ENOENT") return null;
    throw modelReadError(path, error);
  });
}

async function readWhole(path: string): Promise<Uint8Array> {
  const file = await openFile(path);
  try {
    return await file.read(0, file.size);
  } catch (error) {
    throw error instanceof ModelError ? error : modelReadError(path, error);
  } finally {
    await file.close();
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array);
  } catch (error) {
    throw modelReadError(path, error);
  }
  return hash.digest("hex");
}

/** For what the user names: a folder that cannot be written is theirs to choose, too. */
export const outputFiles: FileSystem = {
  ...files,
  // a link stays one: what it leads to is replaced
  writeAtomically: async (path, produce) =>
    await writeAtomically(await realpath(path).catch(() => path), produce, "name a file in another folder"),
};

async function writeAtomically(
  path: string,
  produce: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  advice?: string,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    await removeStale(path);
    const handle = await open(temporary, "wx");
    try {
      await produce(async (bytes) => {
        // write() may take less than it was given, above all on a disk that is almost full.
        for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done)).bytesWritten;
      });
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw await writeError(dirname(path), error, advice);
  } finally {
    forgetTemporary(temporary);
  }
}

/** Says what is wrong with a folder that cannot be written; errors of other kinds pass through. */
export async function writeError(
  folder: string,
  error: unknown,
  advice = "set PALIMPSEST_CACHE to another folder",
): Promise<unknown> {
  const code = (error as { code?: string }).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    const free = await freeBytes(folder);
    // Counted after the unfinished file was removed: what the next try would have.
    const left = free === null ? "" : `, it has ${readableBytes(free)} free`;
    return new PalimpsestError(
      `Cannot write to ${folder}: the disk is full${left}. Free some space or ${advice}`,
    );
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new PalimpsestError(`Cannot write to ${folder}: no permission; ${advice}`);
  }
  if (code === "ENOTDIR" || code === "EEXIST") {
    return new PalimpsestError(`Cannot write to ${folder}: a file is in its place; ${advice}`);
  }
  return error;
}

function modelReadError(path: string, error: unknown): ModelError {
  const code = (error as { code?: string }).code;
  const reason = code === "ENOENT" || code === "ENOTDIR"
    ? "no such file"
    : code === "EISDIR"
    ? "it is a folder, and a file is needed"
    : code === "EACCES" || code === "EPERM"
    ? "no permission to read it"
    : String((error as Error).message ?? error);
  return new ModelError(`Cannot read ${path || '""'}: ${reason}`, { cause: error });
}

/** Free bytes of the disk that holds `folder` (or would hold it), null where the system does not say. */
export async function freeBytes(folder: string): Promise<number | null> {
  for (let at = folder;; at = dirname(at)) {
    const stats = await statfs(at).catch(() => null);
    if (stats) return stats.bavail * stats.bsize;
    if (dirname(at) === at) return null;
  }
}

/** Memory that this process may use in bytes: the machine's, or less inside a container. */
export function totalMemoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

/** What the cache may take: the model, the text and the rest of the machine need the other quarter. */
export function availableBytes(): number {
  return Math.floor(0.75 * totalMemoryBytes());
}

/** Threads worth starting by default: the cores this process may use. */
export function defaultThreads(): number {
  return availableParallelism();
}

/**
 * Largest resident set of this process so far, in bytes. On Linux the kernel's high-water mark of this program alone: `maxRSS` also remembers the
 * process that started it.
 */
export function peakRssBytes(): number {
  if (process.platform === "linux") {
    try {
      const found = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"));
      if (found) return Number(found[1]) * 1024;
    } catch {
      // No /proc in this container: the next best answer is below.
    }
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** The running program, for `doctor` and bug reports: "bun 1.4.5", "deno 2.9.6". */
export function runtimeName(): string {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  return bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`;
}

/** Asks the runtime to collect garbage now. Bun does; Deno only when it was started with `--v8-flags=--expose-gc`. */
export function collectGarbage(): void {
  const runtime = globalThis as { Bun?: { gc(force: boolean): void }; gc?: () => void };
  if (runtime.Bun) runtime.Bun.gc(true);
  else runtime.gc?.();
}
