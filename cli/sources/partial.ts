/**
 * Downloads that were cut off and can go on. A partial download is a folder `<key>.<pid>.part` with the bytes and the note of which they are. Its process
 * owns it, and once that process is gone the next pull takes it over by renaming it, which only one of two pulls at once can do; the other
 * starts its own. The key is the hash of the complete file: another file's bytes cannot be taken for it.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { files } from "../host.ts";
import { isRunning } from "../processes.ts";
import { byteCount, parseRanges, type Range, withRange } from "./ranges.ts";

/** Older ones of nobody are removed: who wanted the file has given up. */
const forgottenMs = 14 * 24 * 3600 * 1000;

export interface PartialDownload {
  /** The file's bytes, at their places. */
  path: string;
  /** Which bytes are there. */
  done: readonly Range[];
  /** What the server calls the file that they are of, where the hub does not state its hash with it. */
  etag: string | null;
  add(range: Range): void;
  /** Forgets all bytes. */
  restart(): Promise<void>;
  /**
   * Writes down which bytes are there. The bytes themselves are not forced to the disk first: after a power failure the note may promise too much,
   * and the hash of the whole file then shows it.
   */
  save(): Promise<void>;
  remove(): Promise<void>;
}

/** Takes over the abandoned part of this key that has the most, or makes an empty one. */
export async function claimPartial(folder: string, key: string, size: number): Promise<PartialDownload> {
  await mkdir(folder, { recursive: true });
  const mine = join(folder, `${key}.${process.pid}.part`);
  const abandoned: { path: string; bytes: number }[] = [];
  for (const { path, key: found, pid } of await list(folder)) {
    if (found !== key || (pid !== process.pid && isRunning(pid))) continue;
    abandoned.push({ path, bytes: byteCount((await readNote(path, size)).done) });
  }
  abandoned.sort((a, b) => b.bytes - a.bytes);
  for (const [index, part] of abandoned.entries()) {
    if (part.path !== mine && !await rename(part.path, mine).then(() => true, () => false)) continue;
    for (const rest of abandoned.slice(index + 1)) await rm(rest.path, { recursive: true, force: true });
    break;
  }
  await mkdir(mine, { recursive: true });
  return await openPartial(mine, size);
}

/** Removes partial downloads and temporary files of processes that are gone, when they are old. */
export async function sweepOld(models: string, partials: string, now = Date.now()): Promise<void> {
  for (const { path, pid } of await list(partials)) await removeOld(path, pid, now);
  for (const name of await readdir(models).catch(() => [])) {
    const pid = /^\..*\.(\d+)-\d+-[a-z0-9]+\.tmp$/.exec(name)?.[1];
    if (pid) await removeOld(join(models, name), Number(pid), now);
  }
}

async function removeOld(path: string, pid: number, now: number): Promise<void> {
  const note = await stat(join(path, noteName)).catch(() => null), info = note ?? await stat(path).catch(() => null);
  if (!info || now - info.mtimeMs < forgottenMs || isRunning(pid)) return;
  await rm(path, { recursive: true, force: true }).catch(() => {});
}

const noteName = "done.json", bytesName = "bytes";

async function openPartial(folder: string, size: number): Promise<PartialDownload> {
  const path = join(folder, bytesName), note = await readNote(folder, size);
  // a file that holds nothing of use may be another name for a file of the hub's cache, which is not ours to write to
  if (note.done.length === 0) await rm(path, { force: true });
  await open(path, "a").then((handle) => handle.close());
  const part: PartialDownload = {
    path,
    done: note.done,
    etag: note.etag,
    add: (range) => part.done = withRange(part.done, range),
    async restart() {
      [part.done, part.etag] = [[], null];
      await open(path, "w").then((handle) => handle.close());
      await part.save();
    },
    async save() {
      const text = new TextEncoder().encode(JSON.stringify({ done: part.done, etag: part.etag }) + "\n");
      await files.writeAtomically(join(folder, noteName), (write) => write(text));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  return part;
}

async function readNote(folder: string, size: number): Promise<{ done: Range[]; etag: string | null }> {
  try {
    const note = JSON.parse(await readFile(join(folder, noteName), "utf8"));
    const { size: present } = await stat(join(folder, bytesName));
    const etag = typeof note.etag === "string" && /^[\x21-\x7e]+$/.test(note.etag) ? note.etag : null;
    return { done: parseRanges(note.done, Math.min(size, present)), etag };
  } catch {
    return { done: [], etag: null };
  }
}

async function list(folder: string): Promise<{ path: string; key: string; pid: number }[]> {
  return (await readdir(folder).catch(() => [])).flatMap((name) => {
    const found = /^(.*)\.(\d+)\.part$/.exec(name);
    return found ? [{ path: join(folder, name), key: found[1]!, pid: Number(found[2]) }] : [];
  });
}
