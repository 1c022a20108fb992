/** Where `palimpsest read` begins: at nothing, at the state that it reads on from, at the checkpoint of an interrupted reading; or it is done already. */
import { ModelError, UsageError } from "../core/errors.ts";
import type { StateSummary } from "../core/state/memory.ts";
import type { Source } from "../core/text/document.ts";
import { isFile } from "./documents.ts";
import { hash } from "./kept.ts";
import { readableCount } from "./numbers.ts";
import type { ReadFlags } from "./read.ts";
import { breathe, interruption } from "./signals.ts";
import { spoolPath } from "./spool.ts";
import type { Given } from "./given.ts";
import { refuseOther, summaryAt } from "./state.ts";

/** What is at hand before documents are opened. */
export interface Earlier {
  /** What `-o` names, where it is there. */
  state: StateSummary | null;
  /** An interrupted reading that `--resume` takes up. */
  checkpoint: StateSummary | null;
  /** A pipe of an interrupted reading, perhaps of one that got to no checkpoint. */
  spool: boolean;
}

export const partPath = (out: string): string => `${out}.part`;

/** @throws {UsageError} for an interrupted reading that is neither taken up nor forgotten, or is another one */
export async function earlierOf(out: string, flags: ReadFlags, given: Given): Promise<Earlier> {
  const part = partPath(out), state = await isFile(out) ? await summaryAt(out) : null;
  const spool = await isFile(spoolPath(out));
  if (flags.fresh || !await isFile(part)) return { state, checkpoint: null, spool };
  const checkpoint = await summaryAt(part).catch((error) => {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(
      `${part} is there, and is no checkpoint that can be resumed (damaged, or of another version): ${
        FRESH(flags, out)
      }`,
      { cause: error },
    );
  });
  if (!flags.resume) {
    throw new UsageError(
      `${part} holds a reading that was interrupted after ${readableCount(checkpoint.interruptedAt ?? 0)} tokens: ` +
        `--resume goes on with it, ${FRESH(flags, out)}`,
    );
  }
  refuseOther(given, flags, checkpoint, part);
  if (flags.append && checkpoint.base === null) {
    throw new UsageError(
      `${part} is a reading from the start: --resume without --append goes on with it, ${FRESH(flags, out)}`,
    );
  }
  if (!flags.append && checkpoint.base !== null) {
    throw new UsageError(
      `${part} reads on from ${out}: --resume with --append goes on with it, ${FRESH(flags, out)}`,
    );
  }
  return { state, checkpoint, spool };
}

const FRESH = ({ append }: ReadFlags, out: string) =>
  append ? `--fresh reads on from ${out} as it is` : "--fresh reads from the start";

/**
 * Whether there is nothing to do: where a reading is to be resumed and none was interrupted, it may have been finished. A script that always says `--resume`
 * must neither read a document twice nor lose a state.
 * @throws {UsageError} where resuming would combine or replace what does not belong together
 */
export async function isDone(
  { state, checkpoint, spool }: Earlier,
  sources: readonly Source[],
  out: string,
  flags: ReadFlags,
  given: Given,
): Promise<boolean> {
  if (!flags.resume || flags.fresh || !state) return false;
  if (checkpoint) {
    if (checkpoint.base === null || checkpoint.base === state.sha256) return false;
    // killed between the state and the end of its checkpoint
    if (await holds(state, sources, flags, out)) return true;
    throw new UsageError(
      `${partPath(out)} reads on from another ${out} than the one that is there now: ${FRESH(flags, out)}`,
    );
  }
  if (await holds(state, sources, flags, out)) {
    refuseOther(given, flags, state, out);
    return true;
  }
  if (flags.append || spool) return false;
  const held = state.sources.map(({ name }) => name).join(", ");
  throw new UsageError(
    `There is nothing to resume: ${out} is whole, and holds other documents, or these as they were (${held}); ` +
      "without --resume they are replaced, --append reads behind them",
  );
}

/** Whether a state holds these documents, one behind the other: from its first one on, or anywhere where they were to be appended. */
async function holds(
  { sources: held }: StateSummary,
  sources: readonly Source[],
  { append }: ReadFlags,
  out: string,
): Promise<boolean> {
  const unrepeatable = append && sources.find(({ repeatable }) => !repeatable);
  if (unrepeatable) {
    throw new UsageError(
      `${unrepeatable.name} is a pipe, and whether ${out} holds it already cannot be known before it is read: ` +
        "--spool keeps it, or leave out --resume",
    );
  }
  if (sources.some(({ size }) => size !== undefined && !held.some(({ bytes }) => bytes === size))) return false;
  const hashes: string[] = [];
  for (const source of sources) hashes.push(await sha256Of(source));
  const starts = append ? held.keys().toArray() : [0];
  return starts.some((start) => hashes.every((one, i) => held[start + i]?.sha256 === one));
}

async function sha256Of({ chunks }: Source): Promise<string> {
  const sha256 = hash();
  for await (const piece of chunks) {
    interruption.throwIfAborted();
    sha256.update(piece);
    await breathe();
  }
  return sha256.hex();
}
