/**
 * Attention flow in one recording: the counterpart of `core/compensate/flow.ts` and `flow_convex.ts`, by their steps: lists, the share of all heads' evicted
 * slots that flows, then layer by layer their most similar receivers, balanced shares, and values blended in place.
 *
 * Dispatches: 1, 9 more where share is below 1, and 5 per layer (4 where likeness is PRODUCT).
 */
import { EPSILON, flowShares, LESSER, RATIO } from "./flow_shares.ts";
import { type HeaviestBuffers, recordHeaviestEvicted } from "./heaviest_evicted.ts";
import { receiveChains } from "./receive_chains.ts";
import { receive } from "./receive.ts";
import type { Recording } from "../recording.ts";
import { rowNorms } from "./row_norms.ts";
import { splitSlots } from "./split_slots.ts";
import { COSINE, topSimilar } from "./top_similar.ts";

/** What lists of a head's slots need, [all heads, stride] and [all heads]. */
export interface ListBuffers {
  start: GPUBuffer;
  end: GPUBuffer;
  /** 1 for slots that stay. */
  stays: GPUBuffer;
  /** 1 for protected slots. */
  shielded: GPUBuffer;
  /** For a while. */
  evicted: GPUBuffer;
  evictedCount: GPUBuffer;
  receivers: GPUBuffer;
  receiverCount: GPUBuffer;
}

/** What a layer's search and its assignments need for a while; one for all layers. */
export interface AssignmentBuffers {
  /** f32 [kvHeads, stride] */
  norms: GPUBuffer;
  load: GPUBuffer;
  /** f32 and u32 [kvHeads, stride, m] */
  likeness: GPUBuffer;
  index: GPUBuffer;
  /** u32 [kvHeads, stride × (1 + m)] */
  chains: GPUBuffer;
}

/** Rows of a layer, f32 [kvHeads, stride, WIDTH]. */
export interface LayerRows {
  keys: GPUBuffer;
  values: GPUBuffer;
}

/** Layers one after the other: an array is one. */
export interface Layers {
  readonly length: number;
  forEach(work: (rows: LayerRows, layer: number) => void): void;
}

/** Of the cache. */
export interface CacheNumbers {
  kvHeads: number;
  /** Slots of every head. */
  stride: number;
  /** headDim, and what a row is wide. */
  D: number;
  WIDTH: number;
}

export interface FlowNumbers extends CacheNumbers {
  /** Receivers of an evicted slot, at most 4. */
  m: number;
  /** PRODUCT or COSINE. */
  likeness: number;
  temperature: number;
  /** Share of all heads' evicted slots that flows. */
  share: number;
  /** Of `flow-convex`; without it the form that keeps the mass, which needs the bias column. */
  gamma?: number;
}

export function recordFlow(
  recording: Recording,
  of: ListBuffers & AssignmentBuffers & HeaviestBuffers & { layers: Layers },
  { kvHeads, stride, D, WIDTH, m: M, likeness: LIKENESS, temperature, share, gamma }: FlowNumbers,
): void {
  const heads = of.layers.length * kvHeads, MASS = gamma === undefined ? 1 : 0;
  splitSlots.record(recording, { ...of, mark: of.shielded }, { heads, stride, receives: 0 });
  if (share < 1) recordHeaviestEvicted(recording, of, { heads, stride, share });
  const rows = share < 1 ? of.flowing : of.evicted, rowCount = share < 1 ? of.flowingCount : of.evictedCount;
  of.layers.forEach(({ keys, values }, layer) => {
    const numbers = { heads: kvHeads, firstHead: layer * kvHeads, stride, D, WIDTH, M, temperature };
    if (LIKENESS === COSINE) rowNorms.record(recording, { ...of, pool: keys }, numbers);
    const lists = { ...of, rows, rowCount, columns: of.receivers, columnCount: of.receiverCount };
    topSimilar.record(recording, { ...lists, pool: keys }, { ...numbers, LIKENESS });
    receiveChains.record(recording, lists, numbers);
    flowShares.record(recording, lists, { ...numbers, epsilon: EPSILON, GATE: MASS ? LESSER : RATIO });
    receive.record(recording, { ...lists, shares: of.likeness, keys, values }, { ...numbers, gamma: gamma ?? 1, MASS });
  });
}
