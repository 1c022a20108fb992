/**
 * Learned rows ask: embeddings of no token, forwarded where an answer would begin. Their attention scores the cache, and their keys and values are dropped.
 * They can ask in a pass of their own, as other probes do, or behind the last row of the chunk in the chunk's own pass: what its rows give is the same, as
 * none of them sees what comes later. (Slots' biases count in passes of few rows only, so beside `flow` or `centroids` the two differ by a little.)
 */
import type { EmbeddingRows } from "../engine/engine.ts";
import type { PackMethod } from "../pack/method.ts";
import type { Probe, SoftContext } from "../policy.ts";
import { askWithRows, onSlots } from "./evidence.ts";

/** @param rows gives the rows, [count, hidden], and how many positions lie between what was read and the first of them */
export interface SoftRows {
  embeddings: Float32Array;
  count: number;
  offset: number;
}

export type MakeRows = (context: SoftContext) => SoftRows;

const needsOf = (pack: PackMethod) => ({ mass: true, embeddings: true, pack }) as const;

/** Asks in a pass of its own. Give the mean over the rows, without pooling (aggregate `mean-unpooled`). */
export const softProbe = (name: string, pack: PackMethod, rows: MakeRows): Probe => ({
  name,
  windowRows: 0,
  needs: needsOf(pack),
  look: (context) => askWithRows(context.engine, context.cache, placed(rows(context), context)),
});

/** Asks in the chunk's own pass. */
export const softProbeInside = (name: string, pack: PackMethod, rows: MakeRows): Probe => ({
  name,
  windowRows: 0,
  needs: needsOf(pack),
  soft: (context) => placed(rows(context), context),
  look: ({ chunk, cache, soft }) => Promise.resolve(onSlots(chunk.mass!, cache.live, soft!.count)),
});

/** Where the rows stand: as far behind what was read as they were trained to, nearer and then fewer where the trained positions end. */
export function placed(
  { embeddings, count, offset }: SoftRows,
  { nextPosition, positionsLeft }: Pick<SoftContext, "nextPosition" | "positionsLeft">,
): EmbeddingRows {
  const rows = Math.max(1, Math.min(count, positionsLeft)), hidden = embeddings.length / count;
  return {
    embeddings: embeddings.subarray(0, rows * hidden),
    count: rows,
    firstPosition: nextPosition + Math.max(0, Math.min(offset, positionsLeft - rows)),
  };
}
