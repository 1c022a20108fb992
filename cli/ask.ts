/** `palimpsest ask [files...] <question>`: a question about documents. */
import { stat } from "node:fs/promises";
import { UsageError } from "../core/errors.ts";
import { openDocuments, stdinIsPiped } from "./documents.ts";
import { run, type RunFlags } from "./run.ts";

/** The last word is the question, the words before it are documents; without documents, piped stdin is the document. */
export async function ask(words: string[], flags: RunFlags): Promise<void> {
  const question = words.at(-1)?.trim() ?? "";
  const names = words.slice(0, -1);
  if (words.length === 0 || question === "") {
    throw new UsageError("The question is missing: palimpsest ask [files...] <question>");
  }
  // `ask book.txt` with the question forgotten would wait for, or answer about, the wrong thing.
  if (names.length === 0 && await isFile(question)) {
    throw new UsageError(`The question is missing after the file ${question}: palimpsest ask ${question} "What ...?"`);
  }
  if (names.length === 0 && !stdinIsPiped()) {
    throw new UsageError(
      `The document is missing: name files before the question, or pipe one in: cat book.txt | palimpsest ask "What ...?"`,
    );
  }
  const sources = await openDocuments(names.length > 0 ? names : ["-"]);
  await run({ command: "ask", sources, instruction: question, maxTokens: 256 }, flags);
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then((info) => info.isFile(), () => false);
}
