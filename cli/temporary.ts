/** Temporary names and the promise that they do not outlive the process, interrupted or not. */
import { rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";

const alive = new Set<string>();
let count = 0;

/** A name in the folder of `path` that no other process or call uses; removed at exit unless `forgetTemporary` is called. */
export function temporaryName(path: string): string {
  const unique = `${process.pid}-${++count}-${Math.random().toString(36).slice(2, 10)}`;
  const name = join(dirname(path), `.${basename(path)}.${unique}.tmp`);
  alive.add(name);
  return name;
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
