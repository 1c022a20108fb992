/**
 * Heaviest slots: the last step of choosing the evicted slots of all heads that have the most mass (`heaviest_evicted.ts`).
 *
 * Dispatches: 1 for all heads. Bytes: 16 per evicted slot and 4 per chosen one; heads² × 2.
 */
import { highest } from "../../core/select/highest.ts";
import source from "./heaviest_slots.wgsl" with { type: "text" };
import { defineKernel, EXACT } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { oddMass, rankOf } from "./mass_histogram.ts";

export const heaviestSlots = defineKernel({
  name: "heaviest_slots",
  source,
  bindings: {
    /** [heads, stride] */
    mass: "read",
    /** Evicted slots [heads, stride], how many [heads]. */
    evicted: "read",
    evictedCount: "read",
    /** [2]: the lowest rank that is taken; how many of that rank are. */
    chosen: "read",
    /** By `mass_histogram` for the last digit, [heads, 256]: how many of a rank a head has. */
    headHistogram: "read",
    /** Ascending slots that are taken [heads, stride], how many [heads]. */
    flowing: "write",
    flowingCount: "write",
  },
  params: { heads: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ mass, evicted, evictedCount, chosen, flowing, flowingCount }, { heads, stride }) {
    const slots: { head: number; slot: number; mass: number }[] = [];
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < evictedCount[head]!; i++) {
        const slot = evicted[head * stride + i]!;
        slots.push({ head, slot, mass: mass[head * stride + slot]! });
      }
    }
    const above = slots.filter((one) => rankOf(one.mass) > chosen[0]!).length;
    flowingCount.fill(0, 0, heads);
    for (const at of highest(Float32Array.from(slots, (one) => one.mass), above + chosen[1]!)) {
      const { head, slot } = slots[at]!;
      flowing[head * stride + flowingCount[head]!++] = slot;
    }
  },
  tolerance: EXACT,
  cases: () =>
    losingHeads().flatMap((of) => {
      const { evicted, evictedCount, allHeads, stride } = of, mass = oddMass(of);
      const ranks: number[] = [], headHistogram = new Uint32Array(allHeads * 256);
      for (let head = 0; head < allHeads; head++) {
        for (let i = 0; i < evictedCount[head]!; i++) {
          ranks.push(rankOf(mass[head * stride + evicted[head * stride + i]!]!));
        }
      }
      ranks.sort((a, b) => b - a);
      return [...new Set([0, Math.ceil(ranks.length / 4), ranks.length])].map((count) => {
        const lowest = count === 0 ? 0xffffffff : ranks[count - 1]!, own = headHistogram.slice();
        for (let head = 0; head < allHeads; head++) {
          for (let i = 0; i < evictedCount[head]!; i++) {
            const rank = rankOf(mass[head * stride + evicted[head * stride + i]!]!);
            if (rank >>> 8 === lowest >>> 8) own[head * 256 + (rank & 255)]!++;
          }
        }
        const above = ranks.filter((rank) => rank > lowest).length;
        return {
          name: `${of.name}, ${count} of all`,
          buffers: {
            mass,
            evicted,
            evictedCount,
            chosen: Uint32Array.of(lowest, count - above),
            headHistogram: own,
            flowing: evicted.slice().fill(2),
            flowingCount: new Uint32Array(allHeads).fill(3),
          },
          values: { heads: allHeads, stride },
        };
      });
    }),
});
