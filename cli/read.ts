/** `palimpsest read [files...] -o file.pal`: reads documents once, and keeps the compressed memory for questions that come later. */
import { realpath, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { UsageError } from "../core/errors.ts";
import type { AnswerRecord } from "../core/record.ts";
import type { KeptMemory } from "../core/state/memory.ts";
import { openDocuments, stdinIsPiped } from "./documents.ts";
import { outputFiles, peakRssBytes, writeError } from "./host.ts";
import { openEmpty, openKept, readInto } from "./kept.ts";
import { takeLock } from "./lock.ts";
import { refuseOutput } from "./named_output.ts";
import { readableBytes, readableCount, readableDuration } from "./numbers.ts";
import { refuseClosedStdout, writeJson } from "./output.ts";
import { createRenderer } from "./render.ts";
import type { RunFlags } from "./run.ts";
import { earlierOf, isDone, partPath } from "./resume.ts";
import { spooled, spoolPath } from "./spool.ts";
import { removeStale } from "./temporary.ts";
import type { Given } from "./given.ts";
import { refuseFixed, summaryAt } from "./state.ts";

export interface ReadFlags extends RunFlags {
  out?: string;
  append?: boolean;
  resume?: boolean;
  fresh?: boolean;
  /** Milliseconds between two checkpoints. */
  checkpoint: number;
  spool?: boolean;
}

/** What `read --json` prints. */
export interface ReadRecord extends Pick<AnswerRecord, "model" | "device" | "policy" | "document"> {
  schema: "palimpsest.read/1";
  command: "read";
  state: { path: string; bytes: number };
  kv: Pick<
    AnswerRecord["kv"],
    "budgetSlots" | "capacitySlots" | "bytes" | "type" | "compactions" | "peakLiveSlots" | "evictedSlots" | "positions"
  >;
  timing: { loadMs: number; prefillTokens: number; prefillMs: number; policyMs: number; peakRssBytes: number };
}

/** Reads documents into a state. @param given flags of the command line */
export async function readCommand(names: string[], flags: ReadFlags, given: Given): Promise<void> {
  const { out } = flags;
  if (!out) throw new UsageError("Where to keep the memory is missing: palimpsest read book.txt -o book.pal");
  if (names.length === 0 && !stdinIsPiped()) {
    throw new UsageError("The document is missing: palimpsest read book.txt -o book.pal, or pipe one in");
  }
  if (flags.json) refuseClosedStdout();
  if (flags.append) refuseFixed(given, out);
  await refuseOut(out, flags.append ?? false);
  // two that read on from one state would lose the documents of the first; hidden, so that it is no document of its folder
  const target = await realpath(out).catch(() => out);
  const lock = await takeLock(join(dirname(target), `.${basename(target)}.lock`), {
    does: `reads into ${out}`,
    instead: "wait for it, name another file",
  }).catch(async (error) => Promise.reject(await writeError(dirname(out), error, "name a file in another folder")));
  try {
    await readLocked(names, out, flags, given);
  } finally {
    await lock.release();
  }
}

async function readLocked(names: string[], out: string, flags: ReadFlags, given: Given): Promise<void> {
  const part = partPath(out), renderer = createRenderer(flags), earlier = await earlierOf(out, flags, given);
  await removeStale(out, part, spoolPath(out));
  const sources = await spooled(await openDocuments(names.length > 0 ? names : ["-"], renderer.remark), out, flags);
  const done = await isDone(earlier, sources, out, flags, given).catch(async (error) => {
    if (!earlier.spool) await rm(spoolPath(out), { force: true });
    throw error;
  });
  if (flags.resume && !earlier.checkpoint && !done) {
    renderer.remark(`There is no interrupted reading at ${part}: reading from the start`);
  }

  const from = done ? out : earlier.checkpoint ? part : flags.append ? out : null;
  const opened = from === null
    ? await openEmpty(flags, "read", renderer)
    : await openKept(from, flags, given, renderer);
  const { model, memory } = opened;
  try {
    if (done) {
      Object.assign(memory.spent, { tokens: 0, ms: 0 });
      memory.reader.policyMs = 0;
    } else {
      await readInto(memory, sources, flags, renderer, { path: part, every: flags.checkpoint });
      const { saveMemory } = await import("../core/state/memory.ts");
      renderer.status(`saving ${out}`);
      await saveMemory(outputFiles, out, memory);
    }
    await Promise.all([part, spoolPath(out)].map((path) => rm(path, { force: true })));
    renderer.clear();
    const record = await recordOf(memory, out);
    if (flags.json) writeJson(record);
    renderer.remark(done ? `${out} holds these documents already: nothing was left to read` : summaryLine(record));
  } finally {
    memory[Symbol.dispose]();
    await model.close();
  }
}

/** @throws {UsageError} for a place where no state can be kept */
async function refuseOut(out: string, append: boolean): Promise<void> {
  const summary = async (path: string) => await summaryAt(path).catch(() => null);
  // what is no state to read on from is told when it is opened, with the reason
  const isOne = async (path: string) => append || await summary(path) !== null;
  await refuseOutput("-o", out, { is: "saved state", example: "memory.pal", isOne });
  if ((await summary(out))?.interruptedAt) {
    throw new UsageError(
      `-o ${out} is the checkpoint of a reading that was interrupted: name the state, without .part`,
    );
  }
}

async function recordOf(memory: KeptMemory, path: string): Promise<ReadRecord> {
  const { memoryRecord } = await import("../core/memory.ts"), { model, reader, spent } = memory;
  return {
    schema: "palimpsest.read/1",
    command: "read",
    state: { path, bytes: (await stat(path)).size },
    ...memoryRecord(memory),
    timing: {
      loadMs: model.loadMs,
      prefillTokens: spent.tokens,
      prefillMs: spent.ms,
      policyMs: reader.policyMs,
      peakRssBytes: peakRssBytes(),
    },
  };
}

function summaryLine({ document, kv, timing, state }: ReadRecord): string {
  const held = kv.compactions === 0 ? "all kept" : `compressed into ${readableCount(kv.budgetSlots)} slots`;
  return `${state.path}: ${readableCount(document.tokens)} tokens, ${held}, ${readableBytes(state.bytes)}, read in ` +
    `${readableDuration(timing.prefillMs)}; ask with: palimpsest ask --state ${state.path} "…"`;
}
