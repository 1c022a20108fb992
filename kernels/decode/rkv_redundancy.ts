/**
 * R-KV redundancy: what `redundancy` of `core/decode/rkv.ts` needs of every pair of written keys, before `rkv_score` makes numbers of it; after `unit_sum`
 * over the newest `written` slots. One dispatch per layer and eviction; moves 4 headDim written (1 + 16 r + blocks) bytes of keys and sums per head,
 * most of them out of the device's caches, where r is how many sixteens of keys it takes to find a duplicate (1 where neighbours are alike), and 12 written.
 */
import { numbers } from "../cases/cases.ts";
import type { Numbers } from "../gpu.ts";
import { defineKernel } from "../kernel.ts";
import { rowsOf } from "../cases/live.ts";
import source from "./rkv_redundancy.wgsl" with { type: "text" };
import { unitBlocks, unitSum } from "../probe/unit_sum.ts";
import { writings, type Written } from "../cases/written.ts";

/** Cosine from which on a key is a duplicate, as in `core/decode/rkv.ts`. */
const DUPLICATE = 0.5;

export const rkvRedundancy = defineKernel({
  name: "rkv_redundancy",
  source,
  bindings: {
    /** The layer's keys, [heads, stride, WIDTH]. */
    keys: "read",
    /** What `unit_sum` gave for the newest `written` slots, [heads, blocks, HEAD_DIM]. */
    parts: "read",
    /** The one behind the last live slot, [all heads]; the written ones are the last. */
    end: "read",
    /** Sum of the cosines with all other written keys, [all heads, written]. */
    likeness: "write",
    /** The last duplicate of each, `written` where there is none, [all heads, written]. */
    duplicate: "write",
    /** Its cosine, [all heads, written]. */
    cosine: "write",
  },
  stored: ["keys"],
  /** `blocks` as `unitBlocks` says for the newest `written`, but no more than these fill: ⌈written / 128⌉. */
  params: { heads: "u32", firstHead: "u32", stride: "u32", written: "u32", blocks: "u32" },
  constants: ["WIDTH", "HEAD_DIM"],
  threads: 256,
  grid: ({ heads, written }) => [written, heads],
  cpu({ keys, end, likeness, duplicate, cosine }, { heads, firstHead, stride, written, WIDTH, HEAD_DIM }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, behind = end[head]!;
      const rows = rowsOf(keys, { stride, WIDTH, HEAD_DIM }, h, behind - written, behind);
      const row = (i: number) => rows.subarray(i * HEAD_DIM, (i + 1) * HEAD_DIM);
      const norms = Array.from({ length: written }, (_, i) => Math.hypot(...row(i)) || Infinity);
      for (let i = 0; i < written; i++) {
        const at = head * written + i, own = row(i);
        let sum = 0;
        duplicate[at] = written;
        cosine[at] = 0;
        for (let j = 0; j < written; j++) {
          if (j === i) continue;
          const other = row(j);
          let product = 0;
          for (let d = 0; d < HEAD_DIM; d++) product += own[d]! * other[d]!;
          product /= norms[i]! * norms[j]!;
          sum += product;
          if (product > DUPLICATE) [duplicate[at], cosine[at]] = [j, product];
        }
        likeness[at] = sum;
      }
    }
  },
  tolerance: { absolute: 1e-4, relative: 0, reason: "up to 275 cosines summed in single precision" },
  cases: () =>
    writings().flatMap((one) =>
      [{ WIDTH: 12, HEAD_DIM: 12 }, { WIDTH: 72, HEAD_DIM: 64 }].map((width) => {
        const { kvHeads: heads, stride, end, written } = one, firstHead = one.heads - heads;
        const blocks = unitBlocks({ stride, newest: written });
        const keys = writtenKeys(one, width.WIDTH, firstHead),
          parts = new Float32Array(heads * blocks * width.HEAD_DIM);
        const values = { heads, firstHead, stride, written, ...width };
        unitSum.cpu({ keys, start: one.start, end, parts }, { ...values, newest: written });
        return {
          name: `${one.name}, ${width.HEAD_DIM} of ${width.WIDTH} columns`,
          buffers: { keys, parts, end, ...pairs(one) },
          values: { ...values, blocks },
        };
      })
    ),
});

/** Keys of a layer among which some are alike, and one is zero; NaN before the written ones. */
export function writtenKeys(one: Written, WIDTH: number, firstHead: number): Float32Array<ArrayBuffer> {
  const { heads, stride, end, written } = one;
  const keys = numbers((heads - firstHead) * stride * WIDTH, 3);
  return keys.map((x, i) => {
    const slot = Math.floor(i / WIDTH), place = slot % stride - end[firstHead + Math.floor(slot / stride)]! + written;
    if (place < 0) return NaN;
    return place === 3 ? 0 : place % 7 === 1 ? keys[i % WIDTH + WIDTH * (slot - slot % stride)]! + x / 4 : x;
  });
}

/** What the kernel writes, before it did. */
export function pairs({ heads, written }: Written): Record<"likeness" | "duplicate" | "cosine", Numbers> {
  return {
    likeness: new Float32Array(heads * written),
    duplicate: new Uint32Array(heads * written),
    cosine: new Float32Array(heads * written),
  };
}
