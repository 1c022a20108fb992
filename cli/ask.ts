/** `palimpsest ask [files...] <question>`: a question about documents. */
import { UsageError } from "../core/errors.ts";
import { isFile, openDocuments, stdinIsPiped } from "./documents.ts";
import { refuseClosedStdout } from "./output.ts";
import { createRenderer } from "./render.ts";
import { expireAfter } from "./signals.ts";
import { refuseIdle, run, type RunFlags, type RunTask } from "./run.ts";
import type { Given } from "./given.ts";
import { MAX_TOKENS } from "./options.ts";
import { refuseDocuments, refuseFixed } from "./state.ts";

export interface AskFlags extends RunFlags {
  state?: string;
  questions?: string;
}

/**
 * The last word is the question, the words before it are documents; without documents, piped stdin is the document. With `--state` the document is what was
 * read into it, with `--questions` all words are documents. @param given flags of the command line
 */
export async function ask(words: string[], flags: AskFlags, given: Given): Promise<void> {
  expireAfter(flags.timeout ?? 0);
  refuseClosedStdout();
  refuseIdle(flags, given);
  const question = flags.questions === undefined ? words.at(-1)?.trim() ?? "" : null;
  const names = question === null ? words : words.slice(0, -1);
  if (question === "") {
    const usage = flags.state
      ? `palimpsest ask --state ${flags.state} <question>`
      : "palimpsest ask [files...] <question>";
    throw new UsageError(`The question is missing: ${usage}`);
  }
  if (flags.report !== undefined && question === null) {
    throw new UsageError("--report is of one answer: it goes with one question, and --questions answers several");
  }
  if (flags.strategy !== undefined && flags.strategy !== "stream" && (flags.state !== undefined || question === null)) {
    throw new UsageError(
      `--strategy ${flags.strategy} reads documents for one question: without ${
        flags.state ? "--state" : "--questions"
      } it works`,
    );
  }
  if (flags.state !== undefined) {
    if (flags.report !== undefined) await (await import("./report.ts")).refuseReport(flags.report);
    refuseDocuments(names, flags.state);
    refuseFixed(given, flags.state);
    const { askState } = await import("./ask_state.ts");
    return await askState(flags.state, question, flags, given);
  }
  // `ask book.txt` with the question forgotten would wait for, or answer about, the wrong thing.
  if (question !== null && names.length === 0 && await isFile(question)) {
    throw new UsageError(`The question is missing after the file ${question}: palimpsest ask ${question} "What ...?"`);
  }
  const pipe = question === null && flags.questions === "-" ? "the questions are" : null;
  if (names.length === 0 && (pipe !== null || !stdinIsPiped())) {
    throw new UsageError(
      pipe !== null
        ? "The document is missing: stdin (-) holds the questions, so name the documents"
        : `The document is missing: name files before the question, or pipe one in: cat book.txt | palimpsest ask "What ...?"`,
    );
  }
  const sources = await openDocuments(names.length > 0 ? names : ["-"], createRenderer(flags).remark);
  if (question === null) {
    const { askEach } = await import("./ask_state.ts");
    return await askEach(sources, flags);
  }
  await run({ ...askTask(question), sources }, flags);
}

/** What a question asks of the pipeline. */
export const askTask = (question: string): Omit<RunTask, "sources"> => ({
  command: "ask",
  instruction: question,
  maxTokens: MAX_TOKENS,
});
