/** The two streams. Everything the program says goes through here, so that the contract of `design.md` section 6 is kept in one place. */
import { writeSync } from "node:fs";
import process from "node:process";
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

/** As `writeOut`, for words of the program's own, which may be coloured. */
export function writeStyled(text: string): void {
  try {
    writeAll(1, text);
  } catch (error) {
    if ((error as { code?: string }).code === "EPIPE") {
      removeTemporaries();
      process.exit(141);
    }
    throw error;
  }
}

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
