/** The two streams. Everything the program says goes through here, so that the contract of `design.md` section 6 is kept in one place. */
import { readFileSync, readlinkSync, writeSync } from "node:fs";
import process from "node:process";
import { PalimpsestError } from "../core/errors.ts";
import { printable } from "../core/text/printable.ts";
import { removeTemporaries } from "./temporary.ts";

export { printable };

/** Is this stream a terminal? */
export const isTerminal = { stdout: () => process.stdout.isTTY === true, stderr: () => process.stderr.isTTY === true };

/**
 * Writes to stdout at once; a reader that went away ends the program quietly with 141, as the shell expects. Written synchronously: an
 * asynchronous stream would report the closed pipe only after more work was done for nobody.
 */
export function writeOut(text: string): void {
  writeStyled(isTerminal.stdout() ? printable(text) : text);
}

/**
 * As `writeOut`, for words of the program's own, which may be coloured.
 * @throws {PalimpsestError} where stdout is closed or its disk is full: an answer must not be lost with exit code 0
 */
export function writeStyled(text: string): void {
  refuseClosedStdout();
  try {
    writeAll(1, text);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "EPIPE") {
      removeTemporaries();
      process.exit(141);
    }
    if (code === "EBADF") throw stdoutError("it is closed");
    throw stdoutError(code === "ENOSPC" || code === "EDQUOT" ? "its disk is full" : (error as Error).message);
  }
}

/** For commands that take long before they write. @throws {PalimpsestError} where nothing could be written */
export function refuseClosedStdout(): void {
  closed ??= stdoutIsClosed();
  if (closed) throw stdoutError("it is closed");
}

let closed: boolean | null = null;

/**
 * Bun puts its own /dev/null in the place of a closed stdout, which takes everything: one that no other program has opened is not inherited by others
 * (O_CLOEXEC). The launcher's, for both runtimes, cannot be written. Where there is no /proc, only that helps, when something is written.
 */
function stdoutIsClosed(): boolean {
  try {
    const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(readFileSync("/proc/self/fdinfo/1", "utf8"))![1]!, 8);
    return readlinkSync("/proc/self/fd/1") === "/dev/null" && ((flags & 0o2000000) !== 0 || (flags & 3) === 0);
  } catch {
    return false;
  }
}

const stdoutError = (reason: string) =>
  new PalimpsestError(`Cannot write to stdout: ${reason}; send it to a file, a pipe or /dev/null`);

/** Writes to stderr; a closed stderr is no reason to stop. */
export function writeErr(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // Nobody reads the remarks; the answer still counts.
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      // A terminal shared with a program that made it non-blocking: wait until it has room again.
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Prints the one object of `--json`. */
export function writeJson(value: unknown): void {
  writeOut(JSON.stringify(value, null, isTerminal.stdout() ? 2 : undefined) + "\n");
}
