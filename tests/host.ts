/** Files for tests: the command line's file system, files in memory, and a count of what is read. */
import { fileURLToPath } from "node:url";
import { ModelError } from "../core/errors.ts";
import type { FileSystem, RandomAccessFile } from "../core/files.ts";

export { files } from "../cli/host.ts";

/** Absolute path of a file below `fixtures/`. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

export interface CountedFile extends RandomAccessFile {
  bytesRead: number;
  closed: boolean;
}

export function counted(file: RandomAccessFile): CountedFile {
  return {
    path: file.path,
    size: file.size,
    bytesRead: 0,
    closed: false,
    async read(offset, length) {
      this.bytesRead += length;
      return await file.read(offset, length);
    },
    async close() {
      this.closed = true;
      await file.close();
    },
  };
}

/** A file of these bytes. */
export function memoryFile(bytes: Uint8Array, path = "memory.gguf"): CountedFile {
  return counted({
    path,
    size: bytes.length,
    async read(offset, length) {
      if (offset < 0 || offset + length > bytes.length) throw new ModelError(`${path} is truncated at ${bytes.length}`);
      return bytes.slice(offset, offset + length);
    },
    async close() {},
  });
}

/** A read-only file system of `contents` by path. */
export function memoryFiles(contents: Record<string, Uint8Array | string>): FileSystem & { opened: CountedFile[] } {
  const bytesOf = (path: string): Uint8Array => {
    const content = contents[path];
    if (content === undefined) throw new ModelError(`${path} does not exist`);
    return typeof content === "string" ? new TextEncoder().encode(content) : content;
  };
  const refuse = () => Promise.reject(new Error("Not in a test's memory"));
  const opened: CountedFile[] = [];
  return {
    opened,
    async open(path) {
      const file = memoryFile(bytesOf(path), path);
      opened.push(file);
      return file;
    },
    exists: async (path) => path in contents,
    async list(path) {
      const inside = Object.keys(contents).filter((name) => name.startsWith(`${path}/`));
      return inside.length === 0 ? null : inside.map((name) => name.slice(path.length + 1));
    },
    readFile: async (path) => bytesOf(path),
    writeAtomically: refuse,
    join: (...parts) => parts.join("/"),
    sha256: refuse,
  };
}

/** Numbers in [0, 1), the same in every run (a linear congruential generator). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}
