/** Recency of written slots, as `core/decode/recency.ts` scores them. One dispatch per eviction for all layers; moves 4 bytes per written slot of every head. */
import { recency } from "../../core/decode/recency.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./written_recency.wgsl" with { type: "text" };
import { writings, writtenCache } from "../cases/written.ts";

export const writtenRecency = defineKernel({
  name: "written_recency",
  source,
  bindings: {
    /** The one behind the last live slot, [heads]; the written ones are the last. */
    end: "read",
    /** [heads, stride]; those of what was read stay as they are. */
    scores: "write",
  },
  params: { heads: "u32", stride: "u32", written: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, written }, threads) => [Math.ceil(written / threads), heads],
  cpu({ end, scores }, { heads, stride, written }) {
    const start = Uint32Array.from(end, (behind) => behind - written);
    const cache = writtenCache({ start, end, momentum: scores }, { heads, stride, share: 1 });
    recency().score!({ cache, written, budget: 0 }).forEach((row, head) =>
      scores.set(row, head * stride + start[head]!)
    );
  },
  tolerance: EXACT,
  cases: () =>
    writings().map((
      { name, heads, stride, end, written },
    ) => ({
      name,
      buffers: { end, scores: numbers(heads * stride, 2) },
      values: { heads, stride, written },
    })),
});
