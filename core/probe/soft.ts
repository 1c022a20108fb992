/**
 * Learned rows ask: embeddings of no token, forwarded where an answer would begin. Their attention scores the cache, and their keys and values are dropped.
 * They ask in a pass of their own, as other probes do: behind the last row of a chunk, in the chunk's own pass, they cost more than that (CHANGELOG 34).
 */
import type { EmbeddingRows } from "../engine/engine.ts";
import type { PackMethod } from "../pack/method.ts";
import type { Probe, SoftContext } from "../policy.ts";
import { askWithRows } from "./evidence.ts";

/** @param rows gives the rows, [count, hidden], and how many positions lie between what was read and the first of them */
export interface SoftRows {
  embeddings: Float32Array;
  count: number;
  offset: number;
}

export type MakeRows = (context: SoftContext) => SoftRows;

/** Asks in a pass of its own. Give the mean over the rows, without pooling (aggregate `mean-unpooled`). */
export const softProbe = (name: string, pack: PackMethod, rows: MakeRows): Probe => ({
  name,
  windowRows: 0,
  needs: { mass: true, embeddings: true, pack },
  look: (context) => askWithRows(context.engine, context.cache, placed(rows(context), context)),
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
