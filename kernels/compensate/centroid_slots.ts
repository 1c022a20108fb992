/**
 * Centroid slots in one recording: the counterpart of `core/compensate/centroids.ts`. Changes which slots stay: the list of kept slots is to be made after.
 *
 * Dispatches: 2, and 4 per layer.
 */
import type { AssignmentBuffers, CacheNumbers, Layers, ListBuffers } from "./attention_flow.ts";
import { centroidJoin } from "./centroid_join.ts";
import { centroidSeeds } from "./centroid_seeds.ts";
import { receiveChains } from "./receive_chains.ts";
import type { Recording } from "../recording.ts";
import { rowNorms } from "./row_norms.ts";
import { splitSlots } from "./split_slots.ts";
import { NEARNESS, topSimilar } from "./top_similar.ts";

/** `MEMORY_SOURCE`, as the bits of a mark. */
const MEMORY = 0xffffffff;

export interface CentroidBuffers extends Omit<ListBuffers, "shielded">, AssignmentBuffers {
  /** int32 [all heads, stride] */
  source: GPUBuffer;
  /** f32 [all heads, stride] */
  count: GPUBuffer;
  mass: GPUBuffer;
  /** u32 [all heads, stride, 2], for a while. */
  found: GPUBuffer;
  layers: Layers;
}

export interface CentroidNumbers extends CacheNumbers {
  /** At the first compaction `slots` of every head, then as many as it has. */
  isFirst: boolean;
  slots: number;
  weigh: "mass" | "count";
}

export function recordCentroids(
  recording: Recording,
  of: CentroidBuffers,
  { kvHeads, stride, D, WIDTH, isFirst, slots, weigh }: CentroidNumbers,
): void {
  const heads = of.layers.length * kvHeads;
  centroidSeeds.record(recording, of, { heads, stride, isFirst: isFirst ? 1 : 0, slots });
  splitSlots.record(recording, { ...of, mark: of.source }, { heads, stride, receives: MEMORY });
  const lists = {
    ...of,
    rows: of.evicted,
    rowCount: of.evictedCount,
    columns: of.receivers,
    columnCount: of.receiverCount,
  };
  of.layers.forEach(({ keys, values }, layer) => {
    const numbers = { heads: kvHeads, firstHead: layer * kvHeads, stride, D, WIDTH, M: 1, temperature: 1 };
    rowNorms.record(recording, { ...of, pool: keys }, numbers);
    topSimilar.record(recording, { ...lists, pool: keys }, { ...numbers, LIKENESS: NEARNESS });
    receiveChains.record(recording, lists, numbers);
    centroidJoin.record(recording, { ...lists, keys, values }, { ...numbers, BY_MASS: weigh === "mass" ? 1 : 0 });
  });
}
