/** Models of a hub repository: what the hub lists at one commit, its bytes with resume and by several connections, every file against its hash. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { ModelError, PalimpsestError } from "../../core/errors.ts";
import { INDEX } from "../../core/engine/safetensors/folder.ts";
import { architectureOf, huggingFaceConfig } from "../../core/engine/safetensors/config.ts";
import { freeBytes, writeError } from "../host.ts";
import { readableBytes } from "../numbers.ts";
import { temporaryName } from "../temporary.ts";
import type { FetchedFile, FetchOptions, FolderFile } from "./fetched.ts";
import { type Hub, HubRefusal, openHub, Unreachable } from "./hub/access.ts";
import { cachedBlob, cachedRepository, takeFromCache } from "./hub/cached.ts";
import { type Choice, choose } from "./hub/choose.ts";
import { download } from "./hub/download.ts";
import { refuseUnusable } from "./hub/first_look.ts";
import { fileUrl, type HubFile, readRepository, refusal, type Repository } from "./hub/listing.ts";
import { type HubSource, storeName } from "./hub/name.ts";
import { claimPartial, type PartialDownload, sweepOld } from "./partial.ts";
import { byteCount } from "./ranges.ts";

/**
 * Fetches a GGUF file, or the folder of a model in safetensors. What the hub's own tools have in their cache is taken from there.
 * @throws {ModelError} when the hub cannot be reached, does not have the model, or sends other bytes than it states
 */
export async function fetchFromHub(source: HubSource, options: FetchOptions): Promise<FetchedFile> {
  try {
    await sweepOld(options.folder, partialsIn(options.folder));
    const hub = await openHub(options.signal), repository = await describe(hub, source, options);
    const choice = choose(repository, source.file ?? null);
    const { commit, revision, name } = repository;
    const origin = { repository: name, file: choice.file, revision, commit };
    await options.onChosen?.(origin, storeName(name, choice.file));
    if (choice.why) options.remark(choice.why);
    const task = new Fetching(hub, repository, options);
    const fetched = choice.file === null
      ? await task.folder(choice)
      : await task.single(choice.files[0]!, source.sha256);
    const what = choice.file ?? "(safetensors)";
    return { ...fetched, source: `hub ${name} ${what} at ${commit.slice(0, 12)}`, hub: origin };
  } catch (error) {
    options.signal.throwIfAborted();
    const mapped = await writeError(options.folder, error);
    if (mapped instanceof PalimpsestError || mapped !== error) throw mapped;
    if (error instanceof Unreachable) throw new ModelError(error.message, { cause: error });
    const [reason] = String((error as Error).message ?? error).split("\n");
    const what = `${source.repository}${source.file ? ` ${source.file}` : ""}`;
    throw new ModelError(`Cannot fetch ${what}: ${reason!.replace(/[.\s]+$/, "")}`, { cause: error });
  }
}

const partialsIn = (folder: string) => join(folder, ".partial");

/** What the hub has, or without it what its cache knows. */
async function describe(hub: Hub, source: HubSource, { signal, remark }: FetchOptions): Promise<Repository> {
  const { repository: name, revision = "main" } = source;
  const cached = () => cachedRepository(name, revision);
  if (hub.offline) {
    const known = await cached();
    if (known) return known;
    throw new ModelError(`${name} at ${revision} is not in the hub's cache, and HF_HUB_OFFLINE forbids to fetch it`);
  }
  try {
    return await readRepository(hub, name, revision, signal);
  } catch (error) {
    const known = error instanceof Unreachable ? await cached() : null;
    if (!known) throw error;
    remark(`${(error as Error).message}; the hub's cache knows ${name} at commit ${known.commit.slice(0, 12)}`);
    // what is not in the cache cannot be had
    hub.offline = true;
    return known;
  }
}

/** A file that is complete. */
interface Obtained {
  part: PartialDownload;
  sha256: string;
}

/** Fetches the files of one repository. */
class Fetching {
  /** Bytes that are there of all files together, and of how many. */
  #before = 0;
  #total = 0;
  readonly #hub: Hub;
  readonly #repository: Repository;
  readonly #options: FetchOptions;

  constructor(hub: Hub, repository: Repository, options: FetchOptions) {
    [this.#hub, this.#repository, this.#options] = [hub, repository, options];
  }

  async single(file: HubFile, pinned?: string): Promise<Omit<FetchedFile, "source">> {
    if (pinned && file.hash.kind === "sha256" && file.hash.hex !== pinned) {
      throw new ModelError(
        `${file.path} has SHA-256 ${file.hash.hex} on the hub, but ${pinned} was expected: not fetched`,
      );
    }
    this.#total = file.size;
    const { part, sha256 } = await this.#obtain(file), name = basename(file.path);
    const temporary = temporaryName(join(this.#options.folder, name));
    await rename(part.path, temporary);
    await part.remove();
    return { temporary, file: name, sha256, size: file.size };
  }

  /** Small files first: they say whether the large ones are of use. */
  async folder(choice: Choice): Promise<Omit<FetchedFile, "source">> {
    const isLarge = (file: HubFile) => /\.safetensors$/.test(file.path),
      small = choice.files.filter((file) => !isLarge(file));
    this.#total = choice.files.reduce((sum, file) => sum + file.size, 0);
    const obtained = new Map<HubFile, Obtained>();
    const take = async (files: HubFile[]) => {
      for (const file of files) {
        obtained.set(file, await this.#obtain(file));
        this.#before += file.size;
      }
    };
    await take(small);
    const texts = new Map<string, string>();
    for (const [file, { part }] of obtained) texts.set(file.path, await readFile(part.path, "utf8"));
    checkConfig(this.#repository.name, texts.get("config.json")!);
    const shards = shardsOf(this.#repository.name, texts, choice.files.filter(isLarge));
    this.#total = [...small, ...shards].reduce((sum, file) => sum + file.size, 0);
    await take(shards);
    return await this.#assemble(obtained);
  }

  async #assemble(obtained: ReadonlyMap<HubFile, Obtained>): Promise<Omit<FetchedFile, "source">> {
    const temporary = temporaryName(join(this.#options.folder, basename(this.#repository.name)));
    await mkdir(temporary);
    const files: FolderFile[] = [];
    for (const [{ path, size }, { part, sha256 }] of obtained) {
      await rename(part.path, join(temporary, path));
      await part.remove();
      files.push({ file: path, size, sha256 });
    }
    files.sort((a, b) => a.file < b.file ? -1 : 1);
    const list = files.map(({ sha256, file }) => `${sha256}  ${file}\n`).join("");
    const sha256 = createHash("sha256").update(list).digest("hex");
    const size = files.reduce((sum, file) => sum + file.size, 0);
    return { temporary, file: this.#repository.commit.slice(0, 12), sha256, size, files };
  }

  /** A file's bytes, from where they can be had: a partial download, the hub's cache, the hub. */
  async #obtain(file: HubFile): Promise<Obtained> {
    const { folder } = this.#options, key = `${file.hash.hex}-${basename(file.path)}`;
    const part = await claimPartial(partialsIn(folder), key, file.size);
    const cached = await this.#fromCache(file, part);
    if (cached) return cached;
    if (this.#hub.offline) {
      await part.remove();
      const why = `the hub's cache has no whole copy of it, and ${this.#hub.host} is not asked`;
      throw new ModelError(`Cannot fetch ${file.path} of ${this.#repository.name}: ${why}`);
    }
    try {
      return await this.#continue(file, part);
    } catch (error) {
      if (byteCount(part.done) === 0) await part.remove();
      throw error;
    }
  }

  async #continue(file: HubFile, part: PartialDownload): Promise<Obtained> {
    const kept = byteCount(part.done), { remark } = this.#options;
    await this.#checkRoom(file.size - kept);
    if (kept === 0) await refuseUnusable(this.#hub, fileUrl(this.#hub, this.#repository, file.path), file);
    else if (kept < file.size) remark(`${file.path} goes on at ${readableBytes(kept)} of ${readableBytes(file.size)}`);
    return await this.#fetch(file, part, kept > 0);
  }

  /** @param isResumed its beginning came in at another time: once, wrong bytes are a reason to begin anew */
  async #fetch(file: HubFile, part: PartialDownload, isResumed: boolean): Promise<Obtained> {
    const { signal, progress } = this.#options, repository = this.#repository, hub = this.#hub;
    const tell = () => progress("fetching", this.#before + byteCount(part.done), this.#total);
    try {
      await download({ hub, url: fileUrl(hub, repository, file.path), file, part, signal, progress: tell });
    } catch (error) {
      const kept = this.#kept(part);
      if (signal.aborted && kept) this.#options.remark(kept);
      if (error instanceof Unreachable && kept) throw new Unreachable(`${error.message}; ${kept}`, { cause: error });
      throw error instanceof HubRefusal ? await refusal(hub, error, repository) : error;
    }
    const found = await this.#hashOf(part.path, file);
    if (found.stated === file.hash.hex) return { part, sha256: found.sha256 };
    if (isResumed) {
      await part.restart();
      return await this.#fetch(file, part, false);
    }
    // wrong bytes are of no use to a later pull
    await part.remove();
    const kind = file.hash.kind === "sha256" ? "SHA-256" : "git hash";
    throw new ModelError(`${file.path} has ${kind} ${found.stated}, but ${file.hash.hex} was expected: not kept`);
  }

  async #fromCache(file: HubFile, part: PartialDownload): Promise<Obtained | null> {
    const blob = await cachedBlob(this.#repository.name, file);
    if (!blob) return null;
    const taken = `${part.path}.cached`;
    await rm(taken, { force: true });
    await takeFromCache(blob, taken);
    const found = await this.#hashOf(taken, file);
    if (found.stated !== file.hash.hex) {
      await rm(taken);
      this.#options.remark(`The hub's cache has a damaged copy of ${file.path}, which is not used`);
      return null;
    }
    await rename(taken, part.path);
    return { part, sha256: found.sha256 };
  }

  /** The hash of the kind that the hub states, and the SHA-256 that the store notes. */
  async #hashOf(path: string, { hash, size }: HubFile): Promise<{ stated: string; sha256: string }> {
    const sha256 = createHash("sha256"), git = hash.kind === "git" ? createHash("sha1").update(`blob ${size}\0`) : null;
    let done = 0;
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      this.#options.signal.throwIfAborted();
      sha256.update(piece as Uint8Array);
      git?.update(piece as Uint8Array);
      done += (piece as Uint8Array).length;
      if (size > 1 << 24) this.#options.progress("verifying", done, size);
    }
    const hex = sha256.digest("hex");
    return { stated: git?.digest("hex") ?? hex, sha256: hex };
  }

  /** @throws {PalimpsestError} where the disk cannot hold what is to come */
  async #checkRoom(bytes: number): Promise<void> {
    const { folder } = this.#options, free = await freeBytes(folder);
    if (free === null || free >= bytes) return;
    throw new PalimpsestError(
      `Cannot write to ${folder}: ${readableBytes(bytes)} are to come and the disk has ${
        readableBytes(free)
      } free. Free some ` +
        "space or set PALIMPSEST_CACHE to another folder",
    );
  }

  /** What the next pull will not have to fetch, in words. */
  #kept(part: PartialDownload): string | null {
    const kept = this.#before + byteCount(part.done);
    if (kept === 0) return null;
    return `${readableBytes(kept)} of ${readableBytes(this.#total)} are kept, the same command goes on there`;
  }
}

/** @throws {ModelError} for a model that cannot be run: before its weights are fetched */
function checkConfig(repository: string, text: string): void {
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(text);
  } catch {
    throw new ModelError(`config.json of ${repository} is no JSON`);
  }
  const path = `${repository}/config.json`;
  huggingFaceConfig(path, architectureOf(path, config), config, repository);
}

/** The files of weights that the index names, or the only one. */
function shardsOf(repository: string, texts: ReadonlyMap<string, string>, files: HubFile[]): HubFile[] {
  const index = texts.get(INDEX);
  if (index === undefined) return files;
  let names: unknown[] = [];
  try {
    names = [...new Set(Object.values(JSON.parse(index).weight_map as Record<string, unknown>))];
  } catch {
    // said below
  }
  if (names.length === 0) throw new ModelError(`${INDEX} of ${repository} names no files of weights`);
  return names.map((name) => {
    const file = files.find(({ path }) => path === name);
    if (file) return file;
    const shown = JSON.stringify(name)?.slice(0, 80);
    throw new ModelError(`${INDEX} of ${repository} names ${shown}, which is no file of weights beside it`);
  });
}
