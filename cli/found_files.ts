/** Files below a folder, or those that a pattern finds. */
import { readdir, stat } from "node:fs";
import { realpath } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import process from "node:process";

/**
 * By their names; hidden ones are left out. A link to a file is one: of several names of one file the first counts. Links to folders are not followed: they
 * may lead in circles.
 * @param onUnreadable told of folders that cannot be listed
 */
export async function foundFiles(
  name: string,
  isFolder: boolean,
  onUnreadable: (folder: string) => void,
): Promise<string[]> {
  const { glob } = await import("tinyglobby");
  const options = { onlyFiles: true, expandDirectories: false, fs: walking(onUnreadable) };
  const found = isFolder
    ? (await glob("**/*", { ...options, cwd: name })).map((path) => join(name, path))
    : (await glob(name.replaceAll("\\", "/"), { ...options, absolute: true }))
      .map((path) => isAbsolute(name) ? path : relative(process.cwd(), path));
  found.sort((a, b) => a < b ? -1 : 1);
  const files = new Map<string, string>();
  for (const path of found) {
    const real = await realpath(path).catch(() => path);
    if (!files.has(real)) files.set(real, path);
  }
  return [...files.values()];
}

type Done<T> = (error: Error | null, value?: T) => void;

/** The library swallows errors, and would follow links to folders or leave out those to files. */
const walking = (onUnreadable: (folder: string) => void) => ({
  realpath: ((path: string, done: Done<string>) => done(null, path)) as never,
  stat: ((path: string, done: Done<{ isDirectory(): boolean }>) =>
    stat(path, (_, info) => {
      if (info?.isDirectory()) done(new Error(`${path} is a folder`));
      else done(null, { isDirectory: () => false }); // what is not there cannot be read, and counts as such
    })) as never,
  readdir:
    ((path: string, options: { withFileTypes: true }, done: Done<unknown>) =>
      readdir(path, options, (error, entries) => {
        if (error && error.code !== "ENOENT") onUnreadable(path.replace(/(?<=.)\/$/, ""));
        done(error, entries);
      })) as never,
});
