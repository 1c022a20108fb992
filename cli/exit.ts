/** The one place where an error becomes a message and an exit code. */
import { InterruptedError, PalimpsestError } from "../core/errors.ts";
import { interruptionCode } from "./signals.ts";
import { isTerminal, printable, writeErr, writeJson } from "./output.ts";
import { eventsWanted, writeEvent } from "./progress_events.ts";

/** What a command line ended with. */
export interface Failure {
  code: number;
  message: string;
}

/** Reads code and sentence off any thrown value. */
export function describeFailure(error: unknown): Failure {
  const signal = interruptionCode();
  if (signal === 124) {
    const message =
      "Stopped when the time of --timeout was over: give it more, or the work less (--max-tokens, a larger --chunk)";
    return { code: signal, message };
  }
  if (signal !== null || error instanceof InterruptedError) return { code: signal ?? 130, message: "Interrupted" };
  if (error instanceof PalimpsestError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message || error.name : String(error);
  return { code: 1, message: `Unexpected failure: ${message}` };
}

/**
 * Tells the user: `{"schema":"palimpsest.error/1",…}` on stdout under `--json`, else one sentence on stderr, which is an event under
 * `--progress json`. An interruption needs no sentence: the
 * one who pressed Ctrl-C knows.
 */
export function report(failure: Failure, error: unknown, options: { json: boolean; verbose: boolean }): void {
  if (options.json) {
    const { code, message } = failure;
    try {
      writeJson({ schema: "palimpsest.error/1", code, message: oneLine(message) });
    } catch {
      writeErr(`palimpsest: ${oneLine(message)}\n`); // stdout may be what failed
    }
  } else if (eventsWanted()) {
    writeEvent({ event: "error", code: failure.code, message: oneLine(failure.message) });
  } else if (failure.code !== 130 && failure.code !== 143) {
    const text = oneLine(failure.message);
    writeErr(`palimpsest: ${isTerminal.stderr() ? printable(text) : text}\n`);
  }
  // A bug report needs the stack; nobody else does.
  if (options.verbose && failure.code === 1 && error instanceof Error && error.stack) writeErr(error.stack + "\n");
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim();
}
