/**
 * CaM receive: kept slots take in their parts of the evicted values before them, in place. The counterpart of the merge in `core/compensate/cam.ts`, which
 * keeps running sums in double precision; here every kept slot adds up its own, so that nothing cancels out.
 *
 * Dispatches: 1 per layer. Bytes: kept slots × 8 D, and evicted ones × m × (4 D + 8), all but the first m-th of it from caches.
 */
import { addBounded } from "../../core/compensate/heads.ts";
import { keptLists } from "./cam_parts.ts";
import source from "./cam_receive.wgsl" with { type: "text" };
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";

/** Threads of a kept slot, as in the shader. */
const LANES = 32;

export const camReceive = defineKernel({
  name: "cam_receive",
  source,
  bindings: {
    /** Slots that stay, protected ones too, ascending, [all heads, stride]; how many [all heads]. */
    receivers: "read",
    receiverCount: "read",
    /** Evicted slots, ascending, [all heads, stride]. */
    rows: "read",
    /** First live slot [all heads]. */
    start: "read",
    /** Of `cam_parts`, [heads, stride]. */
    parts: "read",
    /** Of `longest_rows`, [heads]; only looked at where BOUNDED is 1. */
    longest: "read",
    /** The layer's values [heads, stride, WIDTH]. */
    values: "write",
  },
  stored: ["values"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", m: "u32" },
  constants: ["WIDTH", "D", "BOUNDED"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu(of, { heads, firstHead, stride, m, WIDTH, D, BOUNDED }) {
    for (let h = 0; h < heads; h++) {
      const lists = (firstHead + h) * stride, first = of.start[firstHead + h]!, kept = of.receiverCount[firstHead + h]!;
      const added = new Float64Array(kept * D), values = of.values as Float32Array;
      const slotOf = (place: number) => of.receivers[lists + place]!;
      // evicted slots before the last kept one: those behind it have nobody to go to
      const evicted = kept === 0 ? 0 : slotOf(kept - 1) - first - (kept - 1);
      for (let i = 0, next = 0; i < evicted; i++) {
        const slot = of.rows[lists + i]!, part = of.parts[h * stride + i]!;
        while (slotOf(next) < slot) next++;
        for (let place = next; place < Math.min(kept, next + m); place++) {
          for (let d = 0; d < D; d++) added[place * D + d]! += part * values[(h * stride + slot) * WIDTH + d]!;
        }
      }
      const limit = BOUNDED ? of.longest[h]! : Infinity;
      for (let place = 0; place < kept; place++) {
        addBounded(values, (h * stride + slotOf(place)) * WIDTH, added, place * D, 1, D, limit);
      }
    }
  },
  tolerance: { absolute: 5e-6, relative: 5e-6, reason: "sums and quotients in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      ([[20, 28, 32, 1], [64, 64, 3, 1], [8, 8, 1, 0]] as const).map(([D, WIDTH, m, BOUNDED]) => {
        const { allHeads, firstHead, stride } = of,
          heads = allHeads - firstHead,
          { rowCount: _, ...lists } = keptLists(of);
        return {
          name: `${of.name}, ${m} share, ${D} of ${WIDTH} columns`,
          buffers: {
            ...lists,
            start: of.start,
            parts: of.mass.slice(0, heads * stride).map((x, i) => i % 3 ? x : 0),
            longest: Float32Array.from({ length: heads }, (_, head) => 4 + head),
            values: numbers(heads * stride * WIDTH, 12),
          },
          values: { heads, firstHead, stride, m, WIDTH, D, BOUNDED },
        };
      })
    ),
});
