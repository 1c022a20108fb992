/** Files inside a binary are compressed: ONNX Runtime's library and its WebAssembly are a third of what they are, and unpacked once or in a tenth of a second. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { constants, zstdCompressSync } from "node:zlib";

/** Level 6 takes a second, 19 half a minute for a sixth less. */
const LEVEL = 6;

/** A file as it is embedded. */
export interface Squeezed {
  /** The compressed copy. */
  path: string;
  /** Of the file itself. */
  sha256: string;
  size: number;
}

/** @param folder keeps compressed copies */
export function squeezed(file: string, folder: string): Squeezed {
  const bytes = readFileSync(file), sha256 = createHash("sha256").update(bytes).digest("hex");
  const path = join(folder, `${basename(file)}-${sha256.slice(0, 16)}.zst`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } }));
    renameSync(temporary, path);
  }
  return { path, sha256, size: bytes.length };
}
