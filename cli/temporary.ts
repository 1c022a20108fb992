/** Temporary names and the promise that they do not outlive the process, interrupted or not; those of one that was killed go at the next run. */
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { isRunning, processSpace } from "./processes.ts";

const alive = new Set<string>();
let count = 0, space: string | undefined;

/** So long nobody wrote to a file of another machine or container, where it cannot be seen whether its process runs. */
const FORGOTTEN_MS = 14 * 24 * 3600 * 1000;

/** A name in the folder of `path` that no other process or call uses; removed at exit unless `forgetTemporary` is called. */
export function temporaryName(path: string): string {
  const unique = `${process.pid}-${++count}-${spaceMark()}${Math.random().toString(36).slice(2, 10)}`;
  const name = join(dirname(path), `.${basename(path)}.${unique}.tmp`);
  alive.add(name);
  return name;
}

const spaceMark = () => space ??= createHash("sha256").update(processSpace()).digest("hex").slice(0, 8);

/** Removes what killed processes left beside these files, which are in one folder: temporary files of the same names. */
export async function removeStale(...paths: string[]): Promise<void> {
  const folder = dirname(paths[0]!), names = new Set(paths.map((path) => basename(path)));
  for (const entry of await readdir(folder).catch(() => [])) {
    const [, name, pid, mark] = /^\.(.+)\.(\d+)-\d+-([0-9a-f]{8})[0-9a-z]*\.tmp$/.exec(entry) ?? [];
    const path = join(folder, entry);
    if (!name || !names.has(name)) continue;
    const gone = mark === spaceMark() && processSpace() !== ""
      ? !isRunning(Number(pid))
      : Date.now() - ((await stat(path).catch(() => null))?.mtimeMs ?? Infinity) > FORGOTTEN_MS;
    if (gone) await rm(path, { force: true }).catch(() => {});
  }
}

/** From now on removed at exit, as what `temporaryName` names. */
export function ownTemporary(path: string): void {
  alive.add(path);
}

/** The file was renamed or removed: nothing is left to clean. */
export function forgetTemporary(path: string): void {
  alive.delete(path);
}

/** Removes every temporary file and folder still there; synchronous, so that it can run on the way out. */
export function removeTemporaries(): void {
  for (const path of alive) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // On the way out there is nobody left to tell.
    }
  }
  alive.clear();
}
