/** Ctrl-C, `kill` and `--timeout`: stop soon, keep what was written, leave nothing half-done. */
import process from "node:process";
import { setTimeout } from "node:timers";
import { InterruptedError } from "../core/errors.ts";
import { removeTemporaries } from "./temporary.ts";

const controller = new AbortController();
let received: 124 | 130 | 143 | null = null;

/** Aborted by the first SIGINT or SIGTERM, and when `--timeout` is over. */
export const interruption: AbortSignal = controller.signal;

/** 130 or 143 once a signal came, 124 (as of timeout(1)) once time was over, else null. */
export function interruptionCode(): 124 | 130 | 143 | null {
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

let telling = (): void => {};

/** What is told where a command does not end by itself in time, such as while a pipe is waited for, or a slow pass is under way. */
export function tellOnLeaving(tell: () => void): void {
  telling = tell;
}

let grace = 2000;

/** Something must be saved before the end: so long may that take. A second signal stops the program at once all the same. */
export function allowTime(ms: number): void {
  grace = ms;
}

/** Listens for SIGINT and SIGTERM. The second one, or two seconds without an end (`allowTime`), stops the program at once. */
export function listenForSignals(): void {
  const onSignal = (code: 130 | 143) => () => {
    if (received !== null) leave(received);
    stop(code);
  };
  process.on("SIGINT", onSignal(130));
  process.on("SIGTERM", onSignal(143));
}

/** Stops the program as Ctrl-C does when the time is over. @param milliseconds 0: never */
export function expireAfter(milliseconds: number): void {
  if (milliseconds > 0) setTimeout(() => received === null && stop(124), milliseconds).unref();
}

function stop(code: 124 | 130 | 143): void {
  received = code;
  controller.abort(new InterruptedError("Interrupted"));
  // A timer, not a wait: it must not keep a program alive that is already done.
  setTimeout(() => leave(code), grace).unref();
}

function leave(code: number): never {
  telling();
  removeTemporaries();
  process.exit(code);
}
