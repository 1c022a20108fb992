/** The packs that come with the program: files of the repository's `packs/`. A compiled binary has another form of this file, with the packs inside. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A file that comes with the program. */
export interface ShippedPack {
  /** Its path below `packs/`. */
  name: string;
  bytes(): Promise<Uint8Array>;
}

const folder = join(dirname(import.meta.dirname), "packs");

export async function shippedPacks(): Promise<ShippedPack[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  return names.filter((name) => name.endsWith(".safetensors")).sort().map((name) => ({
    name: name.replaceAll("\\", "/"),
    bytes: () => readFile(join(folder, name)),
  }));
}
