/**
 * Lag rank: scores the partitions of a document that have become complete, as `core/probe/lagkv.ts` does, into the slot attribute `score` (0: not scored
 * yet; else 1 + rank / LAG). Before `lagkv`, which makes scores of it. One dispatch per layer; moves, per partition and head, 4 live bytes of tokens and
 * 4 LAG headDim (1 + 3) bytes of keys and of values, the last two thirds out of the device's cache.
 */
import { KvCache } from "../../core/cache.ts";
import { lagkv as reference } from "../../core/probe/lagkv.ts";
import type { ProbeContext } from "../../core/policy.ts";
import { defineKernel } from "../kernel.ts";
import source from "./lag_rank.wgsl" with { type: "text" };
import { lives, rowsOf, slotNumbers, slotRows, slotTokens, WIDTHS } from "../cases/live.ts";

/** Partitions of `lag` tokens whose successor was read whole, from the document's first on. A compaction scores those that the last one did not. */
export function completePartitions(tokensRead: number, sinks: number, lag: number): number {
  return Math.max(0, Math.floor((tokensRead - sinks) / lag) - 1);
}

export const lagRank = defineKernel({
  name: "lag_rank",
  source,
  bindings: {
    /** The layer's keys, [heads, stride, WIDTH]. */
    keys: "read",
    /** The layer's values, [heads, stride, WIDTH]. */
    values: "read",
    /** Token of each slot, ascending in every head, [all heads, stride]. */
    source: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** The slot attribute `score`, [all heads, stride]. */
    scored: "write",
  },
  stored: ["keys", "values"],
  /** Partitions before `firstPartition` were scored earlier. */
  params: { heads: "u32", firstHead: "u32", stride: "u32", sinks: "u32", firstPartition: "u32", partitions: "u32" },
  constants: ["WIDTH", "HEAD_DIM", "LAG"],
  threads: 256,
  grid: ({ heads, partitions }) => [partitions, heads],
  cpu({ keys, values, source, start, end, scored }, of) {
    const { heads, firstHead, stride, sinks, firstPartition, partitions, HEAD_DIM, LAG } = of;
    const cache = new KvCache({ layers: 1, kvHeads: heads, headDim: HEAD_DIM }, stride, ["score"]);
    const slots = (h: number) => [(firstHead + h) * stride + start[firstHead + h]!, (firstHead + h) * stride] as const;
    for (let h = 0; h < heads; h++) {
      const from = start[firstHead + h]!, to = end[firstHead + h]!, [at, run] = slots(h);
      cache.live[h] = to - from;
      cache.keyRows(h).set(rowsOf(keys, of, h, from, to));
      cache.valueRows(h).set(rowsOf(values, of, h, from, to));
      cache.sources(h).set(source.subarray(at, run + to));
      cache.attribute("score", h).set(scored.subarray(at, run + to));
    }
    const tokensRead = sinks + (firstPartition + partitions + 1) * LAG;
    // ranks what is there before it returns; only what it makes of the ranks is a promise
    reference(LAG, sinks).look({ cache, tokensRead } as ProbeContext);
    for (let h = 0; h < heads; h++) scored.set(cache.attribute("score", h), slots(h)[0]);
  },
  tolerance: { absolute: 3e-7, relative: 0, reason: "1 + rank / LAG, where LAG is no power of two" },
  cases: () =>
    // rows of four columns would often deviate alike, to the last bit of one precision or the other
    [{ WIDTH: 12, HEAD_DIM: 12 }, ...WIDTHS.slice(1)].flatMap((width) =>
      ([[16, 0], [100, 0], [16, 1]] as const).flatMap(([LAG, firstPartition]) =>
        lives().map((live) => {
          const { heads, firstHead, stride, start, end } = live, sinks = 4;
          const source = slotTokens(live, 1 + LAG % 3);
          const scored = slotNumbers(live, 1).map((x, i) =>
            Number.isNaN(x) ? x : source[i]! >= sinks && source[i]! < sinks + firstPartition * LAG ? 1.5 : 0
          );
          return {
            name: `${live.name}, partitions of ${LAG} from ${firstPartition} on, ${width.HEAD_DIM} columns`,
            buffers: {
              keys: slotRows(live, width.WIDTH, width.HEAD_DIM, 3),
              // values that are all equal: every row deviates alike
              values: firstPartition
                ? slotRows(live, width.WIDTH, width.HEAD_DIM, 3).map((x) => 0 * x + 2)
                : slotRows(live, width.WIDTH, width.HEAD_DIM, 4),
              source,
              start,
              end,
              scored,
            },
            values: { heads, firstHead, stride, sinks, firstPartition, partitions: 2, LAG, ...width },
          };
        })
      )
    ),
});
