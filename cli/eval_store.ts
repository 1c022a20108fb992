/** Finished results on disk, one JSON object a line. */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { PalimpsestError } from "../core/errors.ts";
import type { ResultStore } from "../core/eval/run.ts";
import type { EvalResult } from "../core/eval/result.ts";

/** @param path its folder is made when the results are loaded, so that a place that cannot be written to is known before hours of work */
export function jsonLines(path: string): ResultStore {
  return {
    async load() {
      const text = await readFile(path, "utf8").catch((error) => {
        if (error.code === "ENOENT") return "";
        throw storeError(path, error);
      });
      // the folder, and an end to a line that a stopped run left unfinished
      await mkdir(dirname(path), { recursive: true }).catch((error) => Promise.reject(storeError(path, error)));
      await write(text === "" || text.endsWith("\n") ? "" : "\n");
      return text.split("\n").flatMap((line) => {
        try {
          const result = JSON.parse(line) as EvalResult;
          return typeof result.key === "string" ? [result] : [];
        } catch {
          return []; // an unfinished line is measured again
        }
      });
    },
    append: (result) => write(JSON.stringify(result) + "\n"),
  };

  async function write(text: string): Promise<void> {
    await appendFile(path, text).catch((error) => Promise.reject(storeError(path, error)));
  }
}

/** Says why results cannot be kept. */
export function storeError(path: string, error: unknown): PalimpsestError {
  const { code, message } = error as { code?: string; message?: string };
  const reason = code === "EACCES" || code === "EPERM" || code === "EROFS"
    ? "no permission"
    : code === "ENOTDIR" || code === "EEXIST"
    ? "a file stands where a folder is needed"
    : code === "EISDIR"
    ? "it is a folder"
    : code === "ENOSPC" || code === "EDQUOT"
    ? "the disk is full"
    : message ?? String(error);
  return new PalimpsestError(`Cannot write ${path}: ${reason}`, { cause: error });
}
