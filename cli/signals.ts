/** Ctrl-C and `kill`: stop soon, keep what was written, leave nothing half-done. */
import process from "node:process";
import { setTimeout } from "node:timers";
import { InterruptedError } from "../core/errors.ts";
import { removeTemporaries } from "./temporary.ts";

const controller = new AbortController();
let received: 130 | 143 | null = null;

/** Aborted by the first SIGINT or SIGTERM. */
export const interruption: AbortSignal = controller.signal;

/** 130 or 143 once a signal came, else null. */
export function interruptionCode(): 130 | 143 | null {
  return received;
}

let breathed = performance.now();

/**
 * Lets the event loop turn, at most every 50 ms: Deno delivers signals only when it does, and a chain of native calls and promises never lets it.
 */
export async function breathe(): Promise<void> {
  if (performance.now() - breathed < 50) return;
  await new Promise<void>((done) => setTimeout(done, 0));
  breathed = performance.now();
}

let grace = 2000;

/** Something must be saved before the end: so long may that take. A second signal stops the program at once all the same. */
export function allowTime(ms: number): void {
  grace = ms;
}

/** Listens for SIGINT and SIGTERM. The second one, or two seconds without an end (`allowTime`), stops the program at once. */
export function listenForSignals(): void {
  const stop = (code: 130 | 143) => () => {
    if (received !== null) leave(received);
    received = code;
    controller.abort(new InterruptedError("Interrupted"));
    // A timer, not a wait: it must not keep a program alive that is already done.
    setTimeout(() => leave(code), grace).unref();
  };
  process.on("SIGINT", stop(130));
  process.on("SIGTERM", stop(143));
}

function leave(code: number): never {
  removeTemporaries();
  process.exit(code);
}
