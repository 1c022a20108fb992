/**
 * Opens one input after the other and writes a line before and behind each, so that whoever started it knows where it hangs or dies:
 * `tests/fuzz/child.ts KIND SEED FIRST END`.
 */
import { mkdtempSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { peakRssBytes } from "../../cli/host.ts";
import { PalimpsestError } from "../../core/errors.ts";
import { faults } from "./faults.ts";
import { kinds } from "./kinds.ts";
import { randomOf } from "./random.ts";

/** What came of an input; `finding` says what should not have. */
export interface Outcome {
  input: number;
  outcome: "used" | "refused" | "finding";
  finding?: string;
  milliseconds: number;
}

/** Slower, larger and longer than what an honest input of these sizes takes. */
const MOST_MS = 5000, MOST_BYTES = 400e6, MOST_CHARACTERS = 700;

/** What an engine says of programs that did not expect something: no sentence for users. */
const INTERNAL =
  /\bundefined\b(?<!or undefined)(?! values)|is not a function(?!: got)|(?<!object )is not iterable|call stack|null is not|NaN is not|Cannot (?:read propert|convert(?! to JSON))|\bat \S+:\d+|\[object /;

function tell(line: object) {
  writeSync(1, JSON.stringify(line) + "\n");
}

function fault(error: unknown, codes: readonly number[]): string | null {
  if (!(error instanceof PalimpsestError)) return String((error as Error)?.stack ?? error).slice(0, 1500);
  const { code, message } = error;
  if (!codes.includes(code)) return `exit code ${code}: ${message.slice(0, 300)}`;
  if (message.length > MOST_CHARACTERS) return `a message of ${message.length} characters: ${message.slice(0, 300)}…`;
  return INTERNAL.test(message) ? `a message that is no sentence: ${message}` : null;
}

const [name, seed, first, end] = process.argv.slice(2), kind = [...kinds, faults].find((one) => one.name === name)!;
const folder = mkdtempSync(join(tmpdir(), "palimpsest-fuzz-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const attempt = await kind.prepare(folder);
for (let input = Number(first); input < Number(end); input++) {
  tell({ input });
  const started = performance.now(), before = peakRssBytes();
  let outcome: Outcome["outcome"] = "used", finding: string | null = null;
  try {
    await attempt(randomOf(Number(seed), kind.name, input), input);
  } catch (error) {
    outcome = "refused";
    finding = fault(error, kind.codes);
  }
  const milliseconds = performance.now() - started, grown = peakRssBytes() - before;
  if (milliseconds > MOST_MS) finding ??= `it took ${Math.round(milliseconds)} ms`;
  if (grown > MOST_BYTES) finding ??= `memory grew by ${Math.round(grown / 1e6)} MB`;
  tell({
    input,
    outcome: finding === null ? outcome : "finding",
    ...(finding === null ? {} : { finding }),
    milliseconds,
  });
}
