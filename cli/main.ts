/** Entry point: argv in, exit code out. Exit codes are made here and in `exit.ts`, nowhere else. */
import process from "node:process";
import { CommanderError } from "@commander-js/extra-typings";
import { UsageError } from "../core/errors.ts";
import { describeFailure, report } from "./exit.ts";
import { writeErr } from "./output.ts";
import { createProgram } from "./program.ts";
import { eventsWanted } from "./progress_events.ts";
import { listenForSignals, tellOnLeaving } from "./signals.ts";
import { removeTemporaries } from "./temporary.ts";

/** Runs one command line and returns its exit code. */
export async function main(args: string[]): Promise<number> {
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  const options = { json: own.includes("--json"), verbose: own.includes("--verbose") || own.includes("-v") };
  const program = createProgram();
  tellOnLeaving(() => report(describeFailure(null), null, options));
  try {
    if (args.length === 0) {
      writeErr(program.helpInformation());
      return 2;
    }
    await program.parseAsync(asksForVersion(args) && options.json ? ["version", "--json"] : args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const cause = error instanceof CommanderError ? usageError(error) : error;
    const failure = describeFailure(cause);
    report(failure, cause, options);
    if (cause instanceof UsageError && !options.json && !eventsWanted()) writeErr(usageHint(program, args));
    return failure.code;
  } finally {
    removeTemporaries();
  }
}

/** `--version --json`, which commander would answer without JSON. */
const asksForVersion = (args: string[]) =>
  args.every((word) => ["--version", "-V", "--json"].includes(word)) && args.some((word) => word !== "--json");

/** commander's own complaints (exit 1) are usage errors (exit 2). */
function usageError(error: CommanderError): UsageError {
  // `palimpsest help nonsense` and a command without its sub-command print help instead of a message.
  const message = error.message === "(outputHelp)" ? "A command is missing" : error.message.replace(/^error: /, "");
  return new UsageError(message.charAt(0).toUpperCase() + message.slice(1));
}

function usageHint(program: ReturnType<typeof createProgram>, args: string[]): string {
  const command = program.commands.find((one) => one.name() === args[0]);
  const name = command ? `palimpsest ${command.name()}` : "palimpsest";
  return `Usage: ${name} ${(command ?? program).usage()}\nAll flags: ${name} --help\n`;
}

if (import.meta.main) {
  listenForSignals();
  // Exits explicitly: an unread stdin or a pool of native threads must not keep a finished program alive.
  // No top-level await: the compiled binary's bytecode does not allow it.
  main(process.argv.slice(2)).then((code) => process.exit(code));
}
