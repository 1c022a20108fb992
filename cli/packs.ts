/** Where packs of learned weights are: the user's own in the data folder, `packs/<any folder>/<method>.safetensors`, and those that come with the program. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openModelFile } from "../core/engine/open.ts";
import { readSafetensors } from "../core/engine/safetensors/read.ts";
import { ModelError } from "../core/errors.ts";
import type { RandomAccessFile } from "../core/files.ts";
import { type PackHeader, packHeader } from "../core/pack/header.ts";
import type { PackMethod } from "../core/pack/method.ts";
import { openPacks, type PackFiles } from "../core/pack/packs.ts";
import { parsePolicy } from "../core/policies.ts";
import { packsOf } from "../core/policy.ts";
import { dataFolder } from "./folders.ts";
import { files } from "./host.ts";
import { shippedPacks } from "./packs_shipped.ts";

/** The user's own first. */
export const packFiles: PackFiles = async (method) => [...await ownPacks(method), ...await shipped(method)];

async function ownPacks(method: PackMethod): Promise<RandomAccessFile[]> {
  const folder = join(dataFolder(), "packs"), found: RandomAccessFile[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const path = join(folder, name, `${method}.safetensors`);
    if (await files.exists(path)) found.push(await files.open(path));
  }
  return found;
}

async function shipped(method: PackMethod): Promise<RandomAccessFile[]> {
  const mine = (await shippedPacks()).filter(({ name }) => name.endsWith(`/${method}.safetensors`));
  return await Promise.all(mine.map(async ({ name, bytes }) => inMemory(`packs/${name}`, await bytes())));
}

/** What is inside a binary cannot be opened, only read. */
function inMemory(path: string, bytes: Uint8Array): RandomAccessFile {
  return {
    path,
    size: bytes.length,
    read: (offset, length) =>
      offset + length > bytes.length
        ? Promise.reject(new ModelError(`${path} ends at byte ${bytes.length}: it is truncated`))
        : Promise.resolve(bytes.slice(offset, offset + length)),
    close: () => Promise.resolve(),
  };
}

/**
 * Reads the packs that policies need, so that what is missing is told before anything runs.
 * @returns of each policy that needs some, what these are: the hashes of their files
 * @throws {ModelError} as `openPacks`
 */
export async function weightsOf(modelPath: string, policies: readonly string[]): Promise<Map<string, string>> {
  const learned = policies.map(parsePolicy).filter((policy) => packsOf(policy).length > 0);
  if (learned.length === 0) return new Map();
  const model = await openModelFile(files, modelPath);
  try {
    const packs = await openPacks([...new Set(learned.flatMap(packsOf))], packFiles, model);
    return new Map(
      learned.map((policy) => [policy.name, packsOf(policy).map((name) => packs[name]!.header.sha256).join()]),
    );
  } finally {
    await model.close();
  }
}

/** What the pack of a method for a checkpoint says of itself; null where there is none. */
export async function findPack(method: PackMethod, fingerprint: string): Promise<PackHeader | null> {
  const candidates = await packFiles(method);
  try {
    for (const file of candidates) {
      const header = await readSafetensors(file).then((stored) => packHeader(stored, method)).catch(() => null);
      if (header?.fingerprint === fingerprint) return header;
    }
    return null;
  } finally {
    for (const file of candidates) await file.close();
  }
}
