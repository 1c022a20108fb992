/** A pipe kept in a file while it is read, so that an interrupted reading can be taken up again. */
import { open, rename, stat } from "node:fs/promises";
import { UsageError } from "../core/errors.ts";
import type { Source } from "../core/text/document.ts";
import { openDocuments } from "./documents.ts";
import { writeError } from "./host.ts";
import { interruption } from "./signals.ts";
import { forgetTemporary, temporaryName } from "./temporary.ts";
import { dirname } from "node:path";

/** Where the pipe of a state is kept until the state is whole. */
export const spoolPath = (out: string): string => `${out}.spool`;

/**
 * The documents, with stdin from its spool file where it shall be or was kept in one. It is kept whole before anything is read: a pipe whose writer is still
 * at work when reading is interrupted is lost otherwise.
 * @throws {UsageError} for `--spool` without a pipe
 */
export async function spooled(
  sources: Source[],
  out: string,
  flags: { spool?: boolean; resume?: boolean },
): Promise<Source[]> {
  const piped = sources.findIndex(({ name }) => name === "stdin"), path = spoolPath(out);
  if (flags.spool && piped < 0) throw new UsageError("--spool keeps a piped document, and none is piped in (-)");
  if (piped < 0) return sources;
  const isKept = flags.resume && await stat(path).then(() => true, () => false);
  if (!isKept) {
    if (!flags.spool) return sources;
    await keep(sources[piped]!, path);
  }
  const [kept] = await openDocuments([path]);
  return sources.with(piped, { ...kept!, name: "stdin" });
}

/** All of it or nothing. */
async function keep({ chunks }: Source, path: string): Promise<void> {
  const temporary = temporaryName(path);
  try {
    const handle = await open(temporary, "wx");
    try {
      for await (const bytes of chunks) {
        interruption.throwIfAborted();
        for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done)).bytesWritten;
      }
      // Ctrl-C also ends what writes the pipe: half of it must not pass for the whole
      await new Promise((done) => setTimeout(done, 100));
      interruption.throwIfAborted();
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    forgetTemporary(temporary);
  } catch (error) {
    throw await writeError(dirname(path), error, "name a file in another folder");
  }
}
