/** `palimpsest summarize [files...]`: a summary of whole documents. */
import { UsageError } from "../core/errors.ts";
import { openDocuments, stdinIsPiped } from "./documents.ts";
import { refuseClosedStdout } from "./output.ts";
import { createRenderer } from "./render.ts";
import { expireAfter } from "./signals.ts";
import { refuseIdle, run, type RunFlags, type RunTask } from "./run.ts";
import type { Given } from "./given.ts";

/** Summarises files, or piped stdin; `length` is in words. @param given flags of the command line */
export async function summarize(
  names: string[],
  flags: RunFlags & { length?: number | undefined },
  given: Given,
): Promise<void> {
  expireAfter(flags.timeout ?? 0);
  refuseClosedStdout();
  refuseIdle(flags, given);
  if (names.length === 0 && !stdinIsPiped()) {
    throw new UsageError(
      "The document is missing: palimpsest summarize book.txt, or pipe one in: cat book.txt | palimpsest summarize",
    );
  }
  const sources = await openDocuments(names.length > 0 ? names : ["-"], createRenderer(flags).remark);
  await run({ ...summaryTask(flags.length), sources }, flags);
}

/** What a summary of about so many words asks of the pipeline. */
export function summaryTask(words = 300): Omit<RunTask, "sources"> {
  return {
    command: "summarize",
    // asked for names and facts, a small model says what a text is about; asked for a summary, it praises the text
    instruction: "Write a summary of the text above. Mention the most important names and facts.",
    // an English word takes about 1.3 tokens; the rest is room to finish the sentence
    maxTokens: Math.ceil(words * 1.5) + 32,
    opening: "The text is about",
    notes: { wanted: Math.max(2, Math.round(words / 30)), tokens: 56 },
  };
}
