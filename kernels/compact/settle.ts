/**
 * Settle: where live slots are once `gather` moved the rows (`GpuKvCache.settle`), and the few numbers of a compaction that the CPU must know and cannot
 * where quotas were chosen on the GPU: what was evicted (`Reader.evicted`, its check of the budget), the next position under compact positions (the
 * longest head) and where every layer ends. `4 × (3 + layers)` bytes to read back.
 *
 * Bytes: 24 × heads; dispatches: one, after all gathers.
 */
import { keeps, newStart } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./settle.wgsl" with { type: "text" };

export const settle = defineKernel({
  name: "settle",
  source,
  bindings: {
    /** Slots that stayed, [heads]. */
    count: "read",
    /** First live slot, [heads]: where it was, then where it is. */
    start: "write",
    /** One past the last live slot, [heads]. */
    end: "write",
    /** Live slots of all heads before and after, the longest head's, then the end of every layer: [3 + layers]. */
    summary: "write",
  },
  params: { heads: "u32", kvHeads: "u32" },
  constants: [],
  threads: 256,
  grid: () => [1],
  cpu({ count, start, end, summary }, { heads, kvHeads }) {
    summary.fill(0, 0, 3);
    for (let head = 0; head < heads; head++) {
      summary[0]! += end[head]! - start[head]!;
      summary[1]! += count[head]!;
      summary[2] = Math.max(summary[2]!, count[head]!);
      start[head] = newStart(count, head, kvHeads);
      end[head] = start[head]! + count[head]!;
      if (head % kvHeads === 0) summary[3 + head / kvHeads] = end[head]!;
    }
  },
  tolerance: EXACT,
  cases: () => {
    const many = Uint32Array.from({ length: 600 }, (_, i) => i * 37 % 501);
    return [...keeps(), { name: "600 heads", stride: 700, kvHeads: 4, count: many }].map((
      { name, stride, kvHeads, count },
    ) => ({
      name,
      buffers: {
        count,
        start: count.map((_, head) => head % 2),
        end: count.map(() => stride),
        summary: new Uint32Array(3 + count.length / kvHeads + 1).fill(77),
      },
      values: { heads: count.length, kvHeads },
    }));
  },
});
