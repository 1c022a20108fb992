/**
 * The other compensating stages, each in one recording: the counterparts of `merge.ts`, `d2o.ts`, `cam.ts` and `flow_add.ts` in `core/compensate/`.
 *
 * Dispatches: `recordMerge` 1 and 6 per layer, `recordD2o` 1 and 6, `recordCam` 1 and 4, `recordFlowAdd` 1 and 7 (6 where likeness is PRODUCT).
 */
import type { AssignmentBuffers, CacheNumbers, FlowNumbers, Layers, ListBuffers } from "./attention_flow.ts";
import { camParts } from "./cam_parts.ts";
import { camReceive } from "./cam_receive.ts";
import { d2oThreshold } from "./d2o_threshold.ts";
import { EPSILON, flowShares, OPEN } from "./flow_shares.ts";
import { longestRows } from "./longest_rows.ts";
import { mergeShares } from "./merge_shares.ts";
import { receiveChains } from "./receive_chains.ts";
import { receive } from "./receive.ts";
import { receiveBounded } from "./receive_bounded.ts";
import { receiveMean } from "./receive_mean.ts";
import type { Recording } from "../recording.ts";
import { rowNorms } from "./row_norms.ts";
import { splitSlots } from "./split_slots.ts";
import { COSINE, topSimilar } from "./top_similar.ts";

type Buffers<More extends string> =
  & ListBuffers
  & AssignmentBuffers
  & { layers: Layers }
  & Record<More, GPUBuffer>;

/** A head's lists under the names of the kernels that work on pairs. */
const pairs = <T extends ListBuffers>(of: T) => ({
  ...of,
  rows: of.evicted,
  rowCount: of.evictedCount,
  columns: of.receivers,
  columnCount: of.receiverCount,
});

/** @param of.mass [all heads, stride], bound but not looked at @param threshold least cosine for a merge */
export function recordMerge(
  recording: Recording,
  of: Buffers<"mass">,
  { kvHeads, stride, D, WIDTH, threshold }: CacheNumbers & { threshold: number },
): void {
  splitSlots.record(recording, { ...of, mark: of.shielded }, {
    heads: of.layers.length * kvHeads,
    stride,
    receives: 0,
  });
  const lists = pairs(of);
  of.layers.forEach(({ keys, values }, layer) => {
    const numbers = { heads: kvHeads, firstHead: layer * kvHeads, stride, D, WIDTH, M: 1, temperature: 1 };
    rowNorms.record(recording, { ...of, pool: keys }, numbers);
    topSimilar.record(recording, { ...lists, pool: keys }, { ...numbers, LIKENESS: COSINE });
    receiveChains.record(recording, lists, numbers);
    rowNorms.record(recording, { ...of, pool: values }, numbers);
    mergeShares.record(recording, lists, { ...numbers, threshold });
    receive.record(recording, { ...lists, shares: of.likeness, keys, values }, { ...numbers, gamma: 1, MASS: 0 });
  });
}

/** @param of.threshold f32 [all heads], remembered between compactions, 0 at first */
export function recordD2o(
  recording: Recording,
  of: Buffers<"threshold">,
  { kvHeads, stride, D, WIDTH, momentum }: CacheNumbers & { momentum: number },
): void {
  splitSlots.record(recording, { ...of, mark: of.shielded }, {
    heads: of.layers.length * kvHeads,
    stride,
    receives: 0,
  });
  const lists = pairs(of);
  of.layers.forEach(({ keys, values }, layer) => {
    const numbers = { heads: kvHeads, firstHead: layer * kvHeads, stride, D, WIDTH, M: 1, temperature: 1 };
    rowNorms.record(recording, { ...of, pool: keys }, numbers);
    topSimilar.record(recording, { ...lists, pool: keys }, { ...numbers, LIKENESS: COSINE });
    d2oThreshold.record(recording, lists, { ...numbers, momentum });
    receiveChains.record(recording, lists, numbers);
    for (const pool of [keys, values]) {
      receiveMean.record(recording, { ...lists, shares: of.likeness, pool }, numbers);
    }
  });
}

/**
 * @param of.mass [all heads, stride] @param of.source tokens [all heads, stride] @param of.longest f32 [kvHeads], for a while
 * @param of.stays must be 1 for slots that stay @param m kept slots that share an evicted value
 */
export function recordCam(
  recording: Recording,
  of: Buffers<"mass" | "source" | "longest">,
  { kvHeads, stride, D, WIDTH, m, bounded }: CacheNumbers & { m: number; bounded: boolean },
): void {
  // protected slots receive too
  splitSlots.record(recording, { ...of, mark: of.stays }, { heads: of.layers.length * kvHeads, stride, receives: 1 });
  const lists = { ...pairs(of), tokens: of.source, parts: of.likeness };
  of.layers.forEach(({ values }, layer) => {
    const numbers = { heads: kvHeads, firstHead: layer * kvHeads, stride, D, WIDTH, m, BOUNDED: bounded ? 1 : 0 };
    rowNorms.record(recording, { ...of, pool: values }, numbers);
    longestRows.record(recording, lists, numbers);
    camParts.record(recording, lists, numbers);
    camReceive.record(recording, { ...lists, values }, numbers);
  });
}

/** @param of.mass [all heads, stride], bound but not looked at @param of.longest f32 [kvHeads], for a while @param gate part that is added */
export function recordFlowAdd(
  recording: Recording,
  of: Buffers<"mass" | "longest">,
  { kvHeads, stride, D, WIDTH, m: M, likeness: LIKENESS, temperature, gate, bounded }:
    & Omit<FlowNumbers, "share" | "gamma">
    & { gate: number; bounded: boolean },
): void {
  splitSlots.record(recording, { ...of, mark: of.shielded }, {
    heads: of.layers.length * kvHeads,
    stride,
    receives: 0,
  });
  const lists = pairs(of);
  of.layers.forEach(({ keys, values }, layer) => {
    const numbers = { heads: kvHeads, firstHead: layer * kvHeads, stride, D, WIDTH, M, temperature };
    if (LIKENESS === COSINE) rowNorms.record(recording, { ...of, pool: keys }, numbers);
    topSimilar.record(recording, { ...lists, pool: keys }, { ...numbers, LIKENESS });
    receiveChains.record(recording, lists, numbers);
    flowShares.record(recording, lists, { ...numbers, epsilon: EPSILON, GATE: OPEN });
    rowNorms.record(recording, { ...of, pool: values }, numbers);
    longestRows.record(recording, lists, numbers);
    const into = { ...numbers, gate, BOUNDED: bounded ? 1 : 0 };
    receiveBounded.record(recording, { ...lists, shares: of.likeness, values }, into);
  });
}
