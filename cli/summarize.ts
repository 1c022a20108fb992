/** `palimpsest summarize [files...]`: a summary of whole documents. */
import { UsageError } from "../core/errors.ts";
import { openDocuments, stdinIsPiped } from "./documents.ts";
import { run, type RunFlags } from "./run.ts";

/** Summarises files, or piped stdin; `length` is in words. */
export async function summarize(names: string[], flags: RunFlags & { length?: number | undefined }): Promise<void> {
  if (names.length === 0 && !stdinIsPiped()) {
    throw new UsageError(
      "The document is missing: palimpsest summarize book.txt, or pipe one in: cat book.txt | palimpsest summarize",
    );
  }
  const sources = await openDocuments(names.length > 0 ? names : ["-"]);
  const words = flags.length ?? 150;
  const instruction =
    `Summarize the document above in about ${words} words. Cover all of its parts, from the beginning to the end.`;
  // An English word takes about 1.3 tokens; the rest is room to finish the sentence.
  await run(
    { command: "summarize", sources, instruction, policy: "coverage", maxTokens: Math.ceil(words * 2) + 64 },
    flags,
  );
}
