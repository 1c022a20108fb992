/** Files that the user names for a command to write, checked before minutes go into what they will hold. */
import { open, realpath, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UsageError } from "../core/errors.ts";
import { writeError } from "./host.ts";
import { forgetTemporary, temporaryName } from "./temporary.ts";

/**
 * A file may be made anew; one of another kind that was named by mistake, such as the document itself, must not be lost.
 * @param flag as it is typed
 * @param kind what it holds, and a name for it, both for messages; whether one that is there is of that kind
 * @throws {UsageError} where it cannot be written, or is something else
 */
export async function refuseOutput(
  flag: string,
  path: string,
  kind: { is: string; example: string; isOne: (path: string) => Promise<boolean> },
): Promise<void> {
  if (path === "") throw new UsageError(`${flag} "" names no file: name one, such as ${kind.example}`);
  if (path === "-") {
    throw new UsageError(`${flag} - is no file, and stdout takes none: name one, such as ${kind.example}`);
  }
  const target = await realpath(path).catch(() => path), folder = dirname(target);
  if (!await stat(folder).then((info) => info.isDirectory(), () => false)) {
    throw new UsageError(`${flag} ${path}: there is no folder ${folder}`);
  }
  const info = await stat(path).catch(() => null);
  if (info?.isDirectory() || path.endsWith("/")) {
    throw new UsageError(`${flag} ${path} is a folder: name a file, such as ${join(path, kind.example)}`);
  }
  if (info && !info.isFile()) throw new UsageError(`${flag} ${path} is no file: name one, such as ${kind.example}`);
  if (info && !await kind.isOne(path)) {
    throw new UsageError(`${flag} ${path} is there, and is no ${kind.is}: name another file, or remove it first`);
  }
  await tryWriting(target, `${flag} ${path}`);
}

/** Permissions do not tell all: disks are mounted to be read, and some folders take no files. */
async function tryWriting(path: string, named: string): Promise<void> {
  // the longest name that is written on the way
  const temporary = temporaryName(`${path}.spool`), folder = dirname(path);
  try {
    await (await open(temporary, "wx")).close();
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENAMETOOLONG") throw new UsageError(`${named}: the name is too long, give it a shorter one`);
    if (code !== "ENOSPC" && code !== "EDQUOT") {
      const reason = code === "EACCES" || code === "EPERM" ? "no permission" : code === "EROFS" ? "read-only" : code;
      throw new UsageError(`${named}: no file can be written to ${folder} (${reason}), name one in another folder`, {
        cause: error,
      });
    }
    throw await writeError(folder, error, "name a file in another folder");
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
    forgetTemporary(temporary);
  }
}
