/**
 * One process at a time: a file that says who holds it. A holder that was killed leaves it behind, so it counts only while its process
 * runs, or, where that cannot be seen (another machine or container on a shared disk), while the file is touched every few seconds.
 */
import { link, readFile, readlink, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import { PalimpsestError } from "../core/errors.ts";
import { isRunning } from "./processes.ts";
import { forgetTemporary, ownTemporary, temporaryName } from "./temporary.ts";

interface Holder {
  /** Differs in every run. */
  token: string;
  host: string;
  /** Where process ids mean what they mean here. */
  space: string;
  pid: number;
  /** When that process started, in the kernel's words: ids are used again. */
  started: string;
}

/** A lock that is held. */
export interface Lock {
  /** @throws {PalimpsestError} where another process took the lock, or somebody removed it */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

const TOUCH_MS = 10_000;
/** A holder on another machine that was silent for so long is gone. */
const SILENT_MS = 120_000;

/**
 * @param said what the other run does, and what works instead, for messages
 * @throws {PalimpsestError} while another process holds the lock
 */
export async function takeLock(path: string, said: { does: string; instead: string }): Promise<Lock> {
  const own: Holder = {
    token: crypto.randomUUID(),
    host: hostname(),
    space: await readlink("/proc/self/ns/pid").catch(() => ""),
    pid: process.pid,
    started: await startOf(process.pid),
  };
  for (let tries = 0; !await create(path, own); tries++) {
    const text = await readFile(path, "utf8").catch(() => null);
    if (text === null) continue; // released just now
    if (tries > 8 || !await isStale(path, text, own)) throw heldBy(path, text, said);
    await removeStale(path, text);
  }
  ownTemporary(path);
  const touching = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), TOUCH_MS);
  touching.unref();
  const isHeld = async () => parse(await readFile(path, "utf8").catch(() => ""))?.token === own.token;
  return {
    async assertHeld() {
      if (await isHeld()) return;
      throw new PalimpsestError(`The lock ${path} was taken away: another process may write the same files`);
    },
    async release() {
      clearInterval(touching);
      forgetTemporary(path);
      if (await isHeld()) await rm(path, { force: true });
    },
  };
}

/** Whole or not at all, so that nobody reads half a holder: written beside, then linked. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const temporary = temporaryName(path), text = JSON.stringify(holder) + "\n";
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await link(temporary, path).catch(async (error) => {
      if (error.code === "EEXIST") throw error;
      await writeFile(path, text, { flag: "wx" }); // a disk without hard links
    });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
    forgetTemporary(temporary);
  }
}

async function isStale(path: string, text: string, own: Holder): Promise<boolean> {
  const holder = parse(text);
  if (holder && holder.host === own.host && holder.space === own.space) {
    return !isRunning(holder.pid) || await startOf(holder.pid) !== holder.started;
  }
  const touched = (await stat(path).catch(() => null))?.mtimeMs ?? 0;
  return Date.now() - touched > SILENT_MS;
}

/** Another process may have replaced the lock since it was read: then it is put back. */
async function removeStale(path: string, text: string): Promise<void> {
  const aside = temporaryName(path);
  try {
    await rename(path, aside).catch(() => {});
    const taken = await readFile(aside, "utf8").catch(() => text);
    if (taken !== text) await link(aside, path).catch(() => {});
  } finally {
    await rm(aside, { force: true });
    forgetTemporary(aside);
  }
}

/** Field 22 of /proc/<pid>/stat; the name before it may hold anything. Empty where there is no /proc. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function parse(text: string): Holder | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function heldBy(path: string, text: string, { does, instead }: { does: string; instead: string }): PalimpsestError {
  const holder = parse(text);
  const who = holder ? `process ${holder.pid} on ${holder.host}` : "another process";
  return new PalimpsestError(
    `Another run ${does} (${who}): ${instead}, or remove ${path} if that one is gone`,
  );
}
