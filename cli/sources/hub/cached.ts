/**
 * The cache of the hub's own tools: `models--owner--name/{blobs,refs,snapshots}` in HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub. It is only read. A
 * blob's name is the hash that the hub stated for it, and nothing is taken from here whose bytes do not have that hash.
 */
import { copyFile, link, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import type { HubFile, HubHash, Repository } from "./listing.ts";

/** Folder of a repository in the cache. */
export async function cachedFolder(repository: string): Promise<string> {
  const { getHFHubCachePath } = await import("@huggingface/hub");
  return join(getHFHubCachePath(), `models--${repository.replace("/", "--")}`);
}

/** What the cache knows of a repository at a revision, without asking anyone; null where it knows nothing. */
export async function cachedRepository(name: string, revision: string): Promise<Repository | null> {
  const folder = await cachedFolder(name);
  const noted = (await readFile(join(folder, "refs", ...revision.split("/")), "utf8").catch(() => "")).trim();
  const commit = /^[0-9a-f]{40}$/.test(noted) ? noted : /^[0-9a-f]{40}$/.test(revision) ? revision : null;
  if (!commit) return null;
  const snapshot = join(folder, "snapshots", commit), files: HubFile[] = [];
  for (const entry of await readdir(snapshot, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name), blob = await realpath(path).catch(() => null);
    const hash = blob && hashNamed(basename(blob)), info = blob && await stat(blob).catch(() => null);
    // where links cannot be made the files stand here themselves, and nobody says what their bytes must be
    if (hash && info) files.push({ path: relative(snapshot, path).split(sep).join("/"), size: info.size, hash });
  }
  return files.length > 0 ? { name, revision, commit, files } : null;
}

/** The blob of a file, if there is one of its size. */
export async function cachedBlob(repository: string, { hash, size }: HubFile): Promise<string | null> {
  const path = join(await cachedFolder(repository), "blobs", hash.hex), info = await stat(path).catch(() => null);
  return info?.isFile() && info.size === size ? path : null;
}

/** The same bytes under another name: a second name for them where the disk can do that, else a copy. Blobs are replaced, never written to. */
export async function takeFromCache(blob: string, to: string): Promise<void> {
  await link(await realpath(blob), to).catch(() => copyFile(blob, to));
}

function hashNamed(name: string): HubHash | null {
  if (/^[0-9a-f]{64}$/.test(name)) return { kind: "sha256", hex: name };
  return /^[0-9a-f]{40}$/.test(name) ? { kind: "git", hex: name } : null;
}
