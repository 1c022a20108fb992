/** `--report`: writes the page of an answer. */
import { open } from "node:fs/promises";
import type { AnswerRecord } from "../core/record.ts";
import type { Trace } from "../core/report/trace.ts";
import type { Tokenizer } from "../core/text/tokenizer.ts";
import { isReport } from "../core/report/mark.ts";
import { reportPage } from "../core/report/page.ts";
import { outputFiles } from "./host.ts";
import { refuseOutput } from "./named_output.ts";
import { version } from "./version.ts";

/** Told before anything is read. @throws {UsageError} where the page could not be written */
export async function refuseReport(path: string): Promise<void> {
  await refuseOutput("--report", path, { is: "report", example: "report.html", isOne: holdsReport });
}

/** An HTML page that was named by mistake, such as the document itself, must not be lost. */
async function holdsReport(path: string): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(512), 0, 512, 0);
    return isReport(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

export async function writeReport(
  path: string,
  answered: { record: AnswerRecord; question: string; trace: Trace; tokenizer: Tokenizer },
): Promise<void> {
  const page = reportPage({ ...answered, program: `Palimpsest ${version}` });
  await outputFiles.writeAtomically(path, (write) => write(new TextEncoder().encode(page)));
}
