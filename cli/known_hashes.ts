/**
 * Hashes of model files that are not in the store: hashing takes some 2 s per GB, at every start. A hash is known for
 * a file whose size, inode and times of change are those that it had. `ctime` is among these: no tool that puts a file's time back can set it.
 */
import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { FileSystem } from "../core/files.ts";
import { files } from "./host.ts";

/** What is smaller is hashed in the time that it takes to look. */
const WORTH_KNOWING = 1 << 24;
/** What has just been changed is not trusted: changed once more within the same second, it would look the same. */
const SETTLED_MS = 2000;
const MOST = 512;

/** As path → [what it looked like, hash], the one asked for last at the end. */
type Known = [path: string, looks: string, sha256: string][];

const fileOf = (cache: string) => join(cache, "hashes.json");

/** The machine's files, with hashes remembered in the cache folder. Losing them loses nothing but time. */
export function withKnownHashes(cache: string): FileSystem {
  return { ...files, sha256: (path) => knownSha256(cache, resolve(path)) };
}

async function knownSha256(cache: string, path: string): Promise<string> {
  const now = Date.now(), before = await looksOf(path);
  if (!before || before.size < WORTH_KNOWING) return await files.sha256(path);
  const known = (await readAll(cache)).find(([at, looks]) => at === path && looks === before.looks);
  if (known) return known[2];
  const sha256 = await files.sha256(path);
  const after = await looksOf(path);
  if (after?.looks === before.looks && now - before.changedMs > SETTLED_MS) {
    await remember(cache, [path, before.looks, sha256]);
  }
  return sha256;
}

/** Whole seconds of `ctime`, as Deno has them: all changes after the file was settled fall into later ones. */
async function looksOf(path: string): Promise<{ size: number; changedMs: number; looks: string } | null> {
  const info = await stat(path).catch(() => null);
  if (!info) return null;
  const { size, ino, mtimeMs, ctimeMs } = info;
  const looks = [size, ino, Math.floor(mtimeMs), Math.floor(ctimeMs / 1000)].join(" ");
  return { size, changedMs: Math.max(mtimeMs, ctimeMs), looks };
}

async function remember(cache: string, entry: Known[number]): Promise<void> {
  const others = (await readAll(cache)).filter(([path]) => path !== entry[0]);
  const bytes = new TextEncoder().encode(JSON.stringify([...others, entry].slice(-MOST)) + "\n");
  await files.writeAtomically(fileOf(cache), (write) => write(bytes)).catch(() => {});
}

async function readAll(cache: string): Promise<Known> {
  try {
    const all: unknown = JSON.parse(await readFile(fileOf(cache), "utf8"));
    return (all as Known).filter((entry) => entry.every((part) => typeof part === "string"));
  } catch {
    return [];
  }
}
