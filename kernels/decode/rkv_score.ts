/**
 * R-KV scores: attention and redundancy of written slots weighed against each other, as `core/decode/rkv.ts` (the tests hold the two references together against it); after `rkv_redundancy` of all layers. One
 * dispatch per eviction for all layers; moves 32 bytes per written slot of every head, and 4 written more out of the device's cache.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { pairs, rkvRedundancy, writtenKeys } from "./rkv_redundancy.ts";
import source from "./rkv_score.wgsl" with { type: "text" };
import { writings } from "../cases/written.ts";

/** Columns of the cases' keys. */
const COLUMNS = 12;

export const rkvScore = defineKernel({
  name: "rkv_score",
  source,
  bindings: {
    /** Of `rkv_redundancy`, [heads, written] each. */
    likeness: "read",
    duplicate: "read",
    cosine: "read",
    /** The one behind the last live slot, [heads]; the written ones are the last. */
    end: "read",
    /** The slot attribute `momentum`, [heads, stride]; that of what is written begins anew. */
    momentum: "write",
    /** [heads, stride]; those of what was read stay as they are. */
    scores: "write",
  },
  params: { heads: "u32", stride: "u32", written: "u32", lambda: "f32" },
  constants: [],
  threads: 256,
  grid: ({ heads, written }) => [written ? heads : 0],
  cpu({ likeness, duplicate, cosine, end, momentum, scores }, { heads, stride, written: n, lambda }) {
    const candidates = Math.max(0, n - 8);
    for (let head = 0; head < heads; head++) {
      const slots = head * stride + end[head]! - n, attention = momentum.subarray(slots, slots + n);
      const mean = Float64Array.from(likeness.subarray(head * n, (head + 1) * n));
      for (let i = 0; i < n; i++) {
        const last = duplicate[head * n + i]!;
        if (last < n) mean[last]! -= cosine[head * n + i]!;
      }
      const most = mean.reduce((all, x) => Math.max(all, x / n), -Infinity);
      const weights = mean.map((x) => Math.exp(x / n - most)), total = weights.reduce((all, x) => all + x, 0);
      let sum = 0;
      for (let i = 0; i < candidates; i++) sum += attention[i]!;
      for (let i = 0; i < n; i++) {
        const near = Math.max(0, ...attention.subarray(Math.max(0, i - 3), Math.min(i + 4, candidates)));
        const score = lambda * near / (sum || 1) - (1 - lambda) * weights[i]! / total;
        scores[slots + i] = i < candidates ? score : Infinity;
      }
      attention.fill(0);
    }
  },
  tolerance: { absolute: 1e-7, relative: 1e-5, reason: "exponentials and sums in single precision" },
  cases: () =>
    writings().flatMap((one) =>
      [0.07, 0].map((lambda) => {
        const { heads, stride, start, end, written } = one, found = pairs(one);
        rkvRedundancy.cpu(
          { keys: writtenKeys(one, COLUMNS, 0), parts: new Float32Array(0), end, ...found },
          { heads, firstHead: 0, stride, written, blocks: 0, WIDTH: COLUMNS, HEAD_DIM: COLUMNS },
        );
        return {
          name: `${one.name}, λ = ${lambda}, ${start.length} heads`,
          buffers: {
            ...found,
            end,
            momentum: lambda ? numbers(heads * stride, 2).map(Math.abs) : new Float32Array(heads * stride),
            scores: numbers(heads * stride, 5),
          },
          values: { heads, stride, written, lambda },
        };
      })
    ),
});
