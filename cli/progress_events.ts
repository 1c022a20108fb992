/** `--progress json`: what stderr tells programs, one object per line. Fields stay; new ones may come. */
import type { AnswerRecord } from "../core/record.ts";
import { writeErr } from "./output.ts";
import type { Renderer } from "./render.ts";

/** A line of `--progress json`. `elapsedMs` counts from the first one. */
export type ProgressEvent =
  & { elapsedMs: number }
  & (
    /** Something has begun that takes time. */
    | { event: "status"; message: string }
    /** Reading (`prefill`), writing (`decode`) or a transfer by its own name; `total` only where it is known. */
    | {
      event: "progress";
      phase: string;
      unit: "tokens" | "bytes";
      done: number;
      total?: number;
      liveSlots?: number;
      budgetSlots?: number;
    }
    /** One sentence that the user should know. */
    | { event: "warning"; message: string }
    /** Where the answer came from, the best passage first. */
    | { event: "citations"; passages: NonNullable<AnswerRecord["citations"]> }
    /** The answer is complete. */
    | ({ event: "result"; finish: AnswerRecord["finish"] } & Pick<AnswerRecord, "document" | "kv" | "timing">)
    /** The command failed; `code` is the exit code. */
    | { event: "error"; code: number; message: string }
  );

type Untimed<T> = T extends unknown ? Omit<T, "elapsedMs"> : never;

const started = performance.now();
let wanted = false;

/** From now on failures are events, too. */
export function wantEvents(): void {
  wanted = true;
}

export const eventsWanted = (): boolean => wanted;

/** Writes one line. */
export function writeEvent(event: Untimed<ProgressEvent>): void {
  writeErr(JSON.stringify({ ...event, elapsedMs: Math.round(performance.now() - started) }) + "\n");
}

/** Progress of one phase is told at most so often, in ms. */
const EVERY = 100;

/** A renderer that tells events. */
export function eventRenderer(): Renderer {
  let last = -Infinity, lastPhase = "";
  const progress = (event: Omit<Extract<ProgressEvent, { event: "progress" }>, "elapsedMs" | "event">) => {
    const now = performance.now();
    if (event.phase === lastPhase && now - last < EVERY && event.done !== event.total) return;
    [last, lastPhase] = [now, event.phase];
    writeEvent({ event: "progress", ...event });
  };
  return {
    clear() {},
    status: (message) => writeEvent({ event: "status", message }),
    progress: ({ phase, done, total, liveSlots, budgetSlots }) =>
      progress({ phase, unit: "tokens", done, ...(total === undefined ? {} : { total }), liveSlots, budgetSlots }),
    transfer: (phase, done, total) =>
      progress({ phase, unit: "bytes", done, ...(total === undefined ? {} : { total }) }),
    remark: (message) => writeEvent({ event: "warning", message }),
    citations: (passages) => writeEvent({ event: "citations", passages }),
    statistics: ({ finish, document, kv, timing }) => writeEvent({ event: "result", finish, document, kv, timing }),
  };
}
