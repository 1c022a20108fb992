/**
 * Centroid seeds: which slots of every head become centroids, among what it loses and its old centroids. The counterpart of `spread` in
 * `core/compensate/centroids.ts` (its reference) and of `apply` there; one launch serves all heads of all layers. `split_slots` on `source` lists them
 * afterwards, and what joins them.
 *
 * Dispatches: 1 for all heads. Bytes: 24 per live slot, 30 per slot to choose from.
 */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { spread } from "../../core/compensate/centroids.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./centroid_seeds.wgsl" with { type: "text" };
import { losingHeads } from "../cases/losing_heads.ts";

export const centroidSeeds = defineKernel({
  name: "centroid_seeds",
  source,
  bindings: {
    /** First live slot, and the first behind the last, [heads]. */
    start: "read",
    end: "read",
    /** 1 for slots that stay, [heads, stride]; afterwards also for new centroids, and no longer for old ones that were not chosen. */
    stays: "write",
    /** Source tokens, int32 [heads, stride]; `MEMORY_SOURCE` for centroids. */
    source: "write",
    /** Tokens that a slot stands for, f32 [heads, stride], whole, 0 for one; together below 2^24 in a head. */
    count: "write",
    /** For a while, u32 [heads, stride, 2]: undefined afterwards where slots were to choose from. */
    found: "write",
  },
  // isFirst: 1 at the first compaction, when `slots` centroids are made; then as many as a head has
  params: { heads: "u32", stride: "u32", isFirst: "u32", slots: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ start, end, stays, source, count, found }, { heads, stride, isFirst, slots }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride, all: number[] = [];
      let old = 0;
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        const isOld = stays[from + slot] !== 0 && source[from + slot] === MEMORY_SOURCE;
        if (isOld) old++;
        if (isOld || stays[from + slot] === 0) all.push(slot);
      }
      const counts = Float32Array.from(count.subarray(from, from + stride)), most = isFirst ? slots : old;
      const chosen = new Set(most === 0 ? [] : spread(Int32Array.from(all), counts, most));
      let tokens = 0;
      all.forEach((slot, i) => {
        const own = count[from + slot]! || 1, isChosen = chosen.has(slot);
        tokens += own;
        found[2 * (from + i)] = slot;
        found[2 * (from + i) + 1] = isChosen && all.length > most ? 0 : tokens;
        stays[from + slot] = isChosen ? 1 : 0;
        if (!isChosen) return;
        source[from + slot] = MEMORY_SOURCE;
        count[from + slot] = own;
      });
    }
  },
  tolerance: EXACT,
  cases: () =>
    losingHeads().flatMap(({ name, allHeads, stride, start, end, stays }) =>
      ([[1, 4], [1, 64], [1, 0], [0, 0]] as const).map(([isFirst, slots]) => ({
        name: `${name}, ${isFirst ? `the first ${slots}` : "others in their place"}`,
        buffers: {
          start,
          end,
          stays,
          // later compactions meet centroids in kept slots, which stand for many tokens
          source: Int32Array.from(stays, (_, i) => !isFirst && i % 7 === 2 ? MEMORY_SOURCE : i % stride),
          count: Float32Array.from(stays, (_, i) => !isFirst && i % 7 === 2 ? 1 + i * 31 % 900 : i % 4 === 0 ? 1 : 0),
          found: new Uint32Array(2 * allHeads * stride).fill(9),
        },
        values: { heads: allHeads, stride, isFirst, slots },
      }))
    ),
});
