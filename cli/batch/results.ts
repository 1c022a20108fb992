/**
 * The results of a batch on disk: one JSON object a line, each written with its newline in one go. What a killed run left unfinished is cut off; what failed or
 * was asked otherwise is taken out when the file is opened again, so that no id stands in it twice.
 */
import { createReadStream } from "node:fs";
import { mkdir, open, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { storeError } from "../eval_store.ts";
import { files } from "../host.ts";
import { takeLock } from "../lock.ts";

/** Where results go. */
export interface ResultFile {
  /** Ids that need not be asked again. */
  answered: ReadonlySet<string>;
  append(result: object): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the results of an earlier run, or new ones.
 * @param keys of the lines that are wanted now: a result stays where its id has this key and it is no error, and where its id is not wanted at all
 * @throws {PalimpsestError} where another process writes them, or they cannot be written
 */
export async function openResults(path: string, keys: ReadonlyMap<string, string>): Promise<ResultFile> {
  const target = await realpath(path).catch(() => resolve(path));
  const failed = (error: unknown) => Promise.reject(storeError(path, error));
  await mkdir(dirname(target), { recursive: true }).catch(failed);
  const said = { does: "writes these results", instead: "give each run an --out of its own" };
  const lock = await takeLock(`${target}.lock`, said).catch((error) =>
    error.code ? failed(error) : Promise.reject(error)
  );
  try {
    const answered = new Set<string>();
    const stays = (line: string): boolean => {
      const told = parse(line);
      if (!told || typeof told.id !== "string" || answered.has(told.id)) return false;
      const key = keys.get(told.id);
      const kept = key === undefined || told.key === key && told.schema !== "palimpsest.error/1";
      if (kept) answered.add(told.id);
      return kept;
    };
    let whole = true;
    for await (const { line, ended } of linesOf(target)) whole = stays(line) && ended && whole;
    if (!whole) {
      answered.clear();
      await files.writeAtomically(target, async (write) => {
        for await (const { line, ended } of linesOf(target)) {
          if (ended && stays(line)) await write(new TextEncoder().encode(line + "\n"));
        }
      });
    }
    const handle = await open(target, "a").catch(failed);
    return {
      answered,
      async append(result) {
        await lock.assertHeld();
        const bytes = new TextEncoder().encode(JSON.stringify(result) + "\n");
        for (let done = 0; done < bytes.length;) {
          done += (await handle.write(bytes, done).catch(failed)).bytesWritten;
        }
        await handle.sync().catch(() => {}); // not every file can: /dev/stdout
      },
      async close() {
        await handle.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Lines of a file that may be large; the last one may lack its end. A file that is not there has none. */
async function* linesOf(path: string): AsyncGenerator<{ line: string; ended: boolean }> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const piece of createReadStream(path)) {
      const parts = (rest + decoder.decode(piece as Uint8Array, { stream: true })).split("\n");
      rest = parts.pop()!;
      for (const line of parts) yield { line, ended: true };
    }
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return;
    throw storeError(path, error);
  }
  if (rest !== "") yield { line: rest, ended: false };
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value = JSON.parse(line);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
