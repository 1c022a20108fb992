/**
 * Part of the compiled binary only: unpacks ONNX Runtime's native library into the cache at the first start and opens it from there. A shared library
 * cannot be opened from inside another file.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { constants } from "node:os";
import { zstdDecompressSync } from "node:zlib";
// @ts-ignore: written by cli/compile.ts
import { embedded, version } from "palimpsest:embedded";
import { cacheFolder } from "../folders.ts";
import { forgetTemporary, temporaryName } from "../temporary.ts";

interface EmbeddedFile {
  name: string;
  /** Path inside the binary, where it is compressed. */
  file: string;
  sha256: string;
  size: number;
}

/** Opens onnxruntime-node's addon; the library beside it is found by the addon itself. */
export function openBinding(): unknown {
  const files = embedded as EmbeddedFile[];
  const key = createHash("sha256").update(files.map((file) => file.sha256).join()).digest("hex").slice(0, 16);
  const folder = join(cacheFolder(), "native", `${version}-${key}`);
  // Readable and writable by the user alone: what lies here is run.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const file of files) unpack(file, join(folder, file.name));
  const loaded: { exports: unknown } = { exports: {} };
  const binding = files.find((file) => file.name.endsWith(".node"))!.name;
  process.dlopen(loaded as NodeJS.Module, join(folder, binding), constants.dlopen.RTLD_NOW);
  return loaded.exports;
}

/** Writes one file through a temporary name, unless a file with the right bytes is there: several first starts at once are safe. */
function unpack({ file, sha256, size }: EmbeddedFile, path: string): void {
  if (isIntact(path, size, sha256)) return;
  const temporary = temporaryName(path);
  try {
    writeFileSync(temporary, zstdDecompressSync(readFileSync(file)), { mode: 0o700, flag: "wx" });
    if (!isIntact(temporary, size, sha256)) throw new Error(`${temporary} was not written as it should be`);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
    forgetTemporary(temporary);
  }
}

function isIntact(path: string, size: number, sha256: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.size !== size) return false;
  return createHash("sha256").update(readFileSync(path)).digest("hex") === sha256;
}
