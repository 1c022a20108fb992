/**
 * Written quota: what `top_k` needs to evict a block of written slots and nothing else, as `evictWritten` of `core/decode/evict.ts`. The scores of what
 * was read are looked at by nobody then. One dispatch per eviction for all layers; moves 4 bytes per live slot of every head.
 */
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./written_quota.wgsl" with { type: "text" };
import { writings } from "../cases/written.ts";

export const writtenQuota = defineKernel({
  name: "written_quota",
  source,
  bindings: {
    /** First live slot, [heads]. */
    start: "read",
    /** The one behind the last live slot, [heads]. */
    end: "read",
    /** 1 for slots that must stay, [heads, stride]. */
    shielded: "write",
    /** Slots to keep, [heads]. */
    quota: "write",
  },
  /** `budget` of the written slots stay. */
  params: { heads: "u32", stride: "u32", written: "u32", budget: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ start, end, shielded, quota }, { heads, stride, written, budget }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!, behind = head * stride + end[head]!;
      const read = Math.max(from, behind - written);
      shielded.fill(1, from, read).fill(0, read, behind);
      quota[head] = read - from + Math.min(behind - read, budget);
    }
  },
  tolerance: EXACT,
  cases: () =>
    writings().flatMap(({ name, heads, stride, start, end, written }) =>
      [17, 1000].map((budget) => ({
        name: `${name}, ${budget} stay`,
        buffers: { start, end, shielded: new Uint32Array(heads * stride).fill(9), quota: new Uint32Array(heads) },
        values: { heads, stride, written, budget },
      }))
    ),
});
