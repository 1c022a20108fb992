/**
 * The first of two passes over a layer's keys that give the attention mass (`attention_mass.ts` is the second, `ask_layer.ts` records both): what a
 * softmax over a row's logits needs to know of them, without ever holding them. The part of `probabilities` in `core/engine/attention.ts` before the
 * division.
 *
 * One dispatch a layer. Bytes: B = 4 · kvHeads · (T · WIDTH + rows · GROUP · (WIDTH + 2 · splits + 4)), T slots in sight, as far as the GPU's cache
 * holds what several workgroups read: each of ceil(rows · GROUP / (4 · ROW_LANES)) tiles of rows reads all keys, each of the `splits` all queries.
 * Multiplications: T · WIDTH · rows · kvHeads · GROUP, as in `attention_mass`.
 */
import { askings, logits, sight, wordsOf } from "./attention_rows.ts";
import { defineKernel } from "../kernel.ts";
import source from "./softmax_rows.wgsl" with { type: "text" };

/** The largest of nothing. */
const NOTHING = Math.fround(-3e38);

export const softmaxRows = defineKernel({
  name: "softmax_rows",
  source,
  bindings: {
    /** Rotated, [firstRow + rows, kvHeads * GROUP, WIDTH]. */
    queries: "read",
    /** Of the layer, [kvHeads, stride, WIDTH]; the rows of a pass that is not appended stand behind `end`. */
    keys: "read",
    /** Live slots are start..end, [all heads]. */
    start: "read",
    end: "read",
    /**
     * Of every row, [kvHeads, rows * GROUP, 2 * splits + 4]: for each stretch of the slots the largest logit and the sum of exp(logit - largest); then
     * the logits of the first two and the last two of all slots, as far as the row sees them.
     */
    softmax: "write",
  },
  stored: ["keys"],
  params: {
    kvHeads: "u32",
    /** The layer's first among all heads. */
    firstHead: "u32",
    stride: "u32",
    /** Query rows that ask, the last ones of a pass. Row r sees the slots before end + behind - rows + r + 1. */
    rows: "u32",
    /** Rows of the pass before them. */
    firstRow: "u32",
    /** Rows behind the live slots that can be seen too: those of a pass that is not appended; 0 where it is. */
    behind: "u32",
    /** Stretches into which every head's slots are cut, so that few rows keep a GPU busy too. */
    splits: "u32",
    /** 1 / sqrt(head dimension). */
    scale: "f32",
  },
  /**
   * A wide cache has WIDTH > HEAD_DIM: column HEAD_DIM of a key is its slot's bias and the next one hides it, whatever the queries carry there. ROW_LANES: a workgroup takes four times as
   * many rows, a power of two.
   */
  constants: ["WIDTH", "HEAD_DIM", "GROUP", "ROW_LANES"],
  threads: 256,
  grid: ({ kvHeads, rows, splits, GROUP, ROW_LANES }) => [Math.ceil(rows * GROUP / (4 * ROW_LANES)), splits, kvHeads],
  cpu({ queries, keys, start, end, softmax }, values) {
    const { kvHeads, firstHead, rows, behind, splits, GROUP } = values, words = wordsOf(splits);
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const first = start[firstHead + kvHead]!, all = end[firstHead + kvHead]! + behind;
      const stretch = Math.ceil((all - first) / splits);
      for (let i = 0; i < rows * GROUP; i++) {
        const row = logits(queries, keys, values, kvHead, i, first, sight(i, first, all, values));
        const at = (kvHead * rows * GROUP + i) * words;
        for (let split = 0; split < splits; split++) {
          const part = row.subarray(split * stretch, (split + 1) * stretch);
          const largest = part.reduce((most, x) => Math.max(most, x), NOTHING);
          softmax[at + 2 * split] = largest;
          softmax[at + 2 * split + 1] = part.reduce((sum, x) => sum + Math.exp(x - largest), 0);
        }
        row.forEach((x, slot) => {
          if (slot < 2) softmax[at + 2 * splits + slot] = x;
          if (slot + 2 >= all - first) softmax[at + 2 * splits + 4 + slot - (all - first)] = x;
        });
      }
    }
  },
  tolerance: {
    absolute: 2e-5,
    relative: 2e-5,
    reason:
      "dot products and sums of exponentials in single precision, in another order; WGSL's exp(x) may be off by 3 + 2 |x| units",
  },
  cases: () =>
    askings().map(({ name, asking, ROW_LANES, buffers }) => ({
      name,
      buffers: {
        ...buffers,
        softmax: new Float32Array(asking.kvHeads * asking.rows * asking.GROUP * wordsOf(asking.splits)).fill(-7),
      },
      values: { ...asking, ROW_LANES },
    })),
});
