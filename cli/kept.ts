/** Memories that are kept beyond one question: opened empty or as they were saved, and read into with checkpoints. */
import { createHash } from "node:crypto";
import { InterruptedError } from "../core/errors.ts";
import type { EngineModel } from "../core/model.ts";
import type { Hash } from "../core/read.ts";
import type { KeptMemory } from "../core/state/memory.ts";
import type { Source } from "../core/text/document.ts";
import { estimateTokens } from "./estimate.ts";
import { cacheFolder } from "./folders.ts";
import { availableBytes, collectGarbage, outputFiles } from "./host.ts";
import { readableCount } from "./numbers.ts";
import { cpuKvType, engineDevice, openStored } from "./open.ts";
import { writeErr } from "./output.ts";
import type { Renderer } from "./render.ts";
import type { RunFlags } from "./run.ts";
import { allowTime, breathe, interruption } from "./signals.ts";
import type { Given } from "./given.ts";
import { openModelOf, openNamed } from "./state.ts";
import { resolveModel } from "./store.ts";

export interface Opened {
  model: EngineModel;
  memory: KeptMemory;
}

/** A memory that was saved, by an interrupted reading or to be read on. */
export async function openKept(path: string, flags: RunFlags, given: Given, renderer: Renderer): Promise<Opened> {
  const named = await openNamed(path);
  try {
    const model = await openModelOf(named, flags, given, "read", renderer);
    try {
      const { restoreMemory } = await import("../core/state/memory.ts");
      const memory = await restoreMemory(model, named.state, { availableBytes: availableBytes() });
      return { model, memory };
    } catch (error) {
      await model.close();
      throw error;
    }
  } finally {
    await named.state.close();
  }
}

/** @param questions that are known before the documents are read; none means that they come later */
export async function openEmpty(
  flags: RunFlags,
  command: string,
  renderer: Renderer,
  questions: readonly string[] = [],
): Promise<Opened> {
  const [{ defaultPolicies }, { openKeptMemory }] = await Promise.all([
    import("../core/policies.ts"),
    import("../core/state/memory.ts"),
  ]);
  const policy = flags.policy ?? (questions.length > 0 ? defaultPolicies.ask : defaultPolicies.agnostic),
    cache = cacheFolder();
  const device = engineDevice(flags.device, command);
  const stored = await resolveModel(cache, flags.model);
  const options = { policy, cacheFolder: cache, threads: flags.threads, renderer };
  const opened = await openStored(stored, device, options, cpuKvType(flags.kvType));
  const model = { ...opened, name: stored.name };
  try {
    const memory = await openKeptMemory(model, {
      system: flags.system,
      policy,
      budget: flags.kvBudget ?? null,
      chunkTokens: flags.chunk,
      positions: flags.positions,
      maxTokens: flags.maxTokens,
      decodeBudget: flags.decodeBudget,
      questions,
      availableBytes: availableBytes(),
    });
    return { model, memory };
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Where an unfinished memory is kept, and how often. */
export interface Checkpoints {
  path: string;
  /** Milliseconds between two. */
  every: number;
}

/** So long may saving take after Ctrl-C: the chunk that is under way, and the disk. */
const SAVING_MS = 60_000;

/** Reads, with a checkpoint every while and one more where reading is interrupted. */
export async function readInto(
  memory: KeptMemory,
  given: Source[],
  { strict, quiet }: Pick<RunFlags, "strict" | "quiet">,
  renderer: Renderer,
  checkpoints?: Checkpoints,
): Promise<void> {
  const [{ read }, { clampWarning }, { saveMemory }] = await Promise.all([
    import("../core/read.ts"),
    import("../core/memory.ts"),
    import("../core/state/memory.ts"),
  ]);
  const warning = clampWarning(memory), { sources, total } = estimateTokens(given);
  if (warning) renderer.remark(warning);
  if (checkpoints) allowTime(SAVING_MS);
  let saved = performance.now(), savedTokens = memory.reader.tokensRead;
  try {
    for await (
      const event of read(memory, sources, { strict: strict ?? false, collectGarbage, signal: interruption, hash })
    ) {
      if (event.type === "warning") renderer.remark(event.message);
      else if (event.type === "progress") {
        const all = total(event.done);
        renderer.progress(all === undefined ? event : { ...event, total: all });
        if (checkpoints && performance.now() - saved >= checkpoints.every) {
          // hours of reading are worth more than a checkpoint, and a full disk may have room again at the end
          await saveMemory(outputFiles, checkpoints.path, memory).then(
            () => savedTokens = memory.reader.tokensRead,
            (error) => {
              renderer.clear();
              if (!quiet) writeErr(`palimpsest: no checkpoint, reading goes on: ${(error as Error).message}\n`);
            },
          );
          saved = performance.now();
        }
      }
      await breathe();
    }
  } catch (error) {
    renderer.clear();
    if (!checkpoints || !(error instanceof InterruptedError) || !memory.progress?.chunks) throw error;
    const { tokensRead } = memory.reader;
    if (tokensRead > savedTokens) await saveMemory(outputFiles, checkpoints.path, memory);
    if (!quiet) {
      writeErr(
        `palimpsest: interrupted after ${
          readableCount(tokensRead)
        } tokens; the same command with --resume goes on from there\n`,
      );
    }
    throw error;
  } finally {
    renderer.clear();
  }
}

/** SHA-256 of what it is given. */
export function hash(): Hash {
  const sha256 = createHash("sha256");
  return { update: (bytes) => void sha256.update(bytes), hex: () => sha256.digest("hex") };
}
