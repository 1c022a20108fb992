/** `palimpsest models [list|rm|path]`: what is in the store. `recommend` is in a file of its own. */
import { cacheFolder } from "./folders.ts";
import { readableBytes } from "./numbers.ts";
import { writeJson, writeOut } from "./output.ts";
import { defaultModel, findRegistered, registry } from "./registry.ts";
import { createRenderer, type RenderOptions } from "./render.ts";
import { listStored, readStored, removeStored, resolveModel } from "./store.ts";

/** Flags of the `models` commands. */
export interface ModelsFlags extends RenderOptions {
  json?: boolean | undefined;
}

/** Lists the stored models and those that could be pulled. */
export async function listModels(flags: ModelsFlags): Promise<void> {
  const stored = await listStored(cacheFolder());
  const available = registry.filter((model) => !stored.some((one) => one.name === model.name));
  if (flags.json) {
    return writeJson({
      schema: "palimpsest.models/1",
      command: "models",
      default: defaultModel,
      models: stored.map(({ name, path, sha256, size, source, pulled, hub }) => ({
        name,
        path,
        sha256,
        size,
        source,
        pulled,
        fingerprint: findRegistered(name)?.fingerprint ?? null,
        ...(hub ? { hub } : {}),
      })),
      available: available.map(({ name, summary, license, size }) => ({ name, summary, license, size })),
    });
  }
  const rows = [
    ...stored.map((model) => [model.name, readableBytes(model.size), "here", model.source]),
    ...available.map((
      model,
    ) => [model.name, readableBytes(model.size), `run: palimpsest pull ${model.name}`, model.summary]),
  ];
  writeOut(columns(rows));
}

/** Removes a model and what was prepared from it. */
export async function removeModel(name: string, flags: ModelsFlags): Promise<void> {
  const freed = await removeStored(cacheFolder(), name);
  if (flags.json) {
    return writeJson({ schema: "palimpsest.models/1", command: "models rm", removed: name, freedBytes: freed });
  }
  createRenderer(flags).remark(`${name} removed, ${readableBytes(freed)} freed`);
}

/** Prints the path of a model file, for other programs. */
export async function modelPath(name: string, flags: ModelsFlags): Promise<void> {
  const cache = cacheFolder();
  const { path, sha256 } = await resolveModel(cache, name);
  if (!flags.json) return writeOut(`${path}\n`);
  const stored = await readStored(cache, name).catch(() => null);
  writeJson({
    schema: "palimpsest.models/1",
    command: "models path",
    name,
    path,
    sha256: sha256 ?? null,
    size: stored?.size ?? null,
  });
}

/** Rows as left-aligned columns, two spaces apart. */
export function columns(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  return rows.map((row) =>
    row.map((cell, i) => i === row.length - 1 ? cell : cell.padEnd(widths[i]!)).join("  ") + "\n"
  ).join("");
}
