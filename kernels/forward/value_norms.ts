/**
 * Value norms: ‖v W_O‖₁ of a chunk's new value rows (CriticalKV, arXiv 2502.03805), what `valueNorms` of `core/engine/row_facts.ts` puts into the CPU's
 * graph. The product is never in memory; a workgroup's sums over a stripe of outputs are, and `value_norms_sum` adds these up.
 *
 * One dispatch per layer. W_O in float32 takes 4 hidden heads GROUP headDim bytes per layer, made once (SmolLM2-1.7B: 16 MiB in each of 24 layers). Moves, with
 * n = behind - first rows: 4 n heads headDim (hidden / 64) GROUP bytes of rows and 4 hidden heads GROUP headDim ⌈n / 64⌉ bytes of W_O, most of both out of the
 * device's caches, and 4 n heads ⌈hidden / 512⌉ written; 2 n hidden heads GROUP headDim operations, as many as the output matrix itself takes.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { lives, slotRows } from "../cases/live.ts";
import source from "./value_norms.wgsl" with { type: "text" };

/** Outputs whose sum one workgroup makes, as in the shader. */
const STRIPE = 512;

/** Parts that a row's sum comes in. */
export function valueNormStripes(hidden: number): number {
  return Math.ceil(hidden / STRIPE);
}

export const valueNorms = defineKernel({
  name: "value_norms",
  source,
  bindings: {
    /** The layer's values, [heads, stride, WIDTH]. */
    values: "read",
    /** The layer's W_O, [hidden, heads * GROUP * HEAD_DIM]. */
    matrix: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** [all heads, stripes, rows], undefined where a slot is not live. */
    parts: "write",
  },
  stored: ["values"],
  /** The last `rows` slots of every head are the new ones, as far as they are live. */
  params: { heads: "u32", firstHead: "u32", stride: "u32", rows: "u32", hidden: "u32" },
  constants: ["WIDTH", "HEAD_DIM", "GROUP"],
  threads: 256,
  grid: ({ heads, rows, hidden }, threads) => [
    Math.ceil(rows / (threads / 4)),
    heads,
    valueNormStripes(hidden),
  ],
  cpu(
    { values, matrix, start, end, parts },
    { heads, firstHead, stride, rows, hidden, WIDTH, HEAD_DIM, GROUP },
  ) {
    const columns = heads * GROUP * HEAD_DIM, stripes = valueNormStripes(hidden);
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, first = Math.max(0, end[head]! - rows);
      for (let slot = Math.max(first, start[head]!); slot < end[head]!; slot++) {
        const row = (h * stride + slot) * WIDTH;
        for (let stripe = 0; stripe < stripes; stripe++) {
          let sum = 0;
          for (let out = stripe * STRIPE; out < Math.min((stripe + 1) * STRIPE, hidden); out++) {
            for (let column = h * GROUP; column < (h + 1) * GROUP; column++) {
              let product = 0;
              const at = out * columns + column * HEAD_DIM;
              for (let d = 0; d < HEAD_DIM; d++) product += values[row + d]! * matrix[at + d]!;
              sum += Math.abs(product);
            }
          }
          parts[(head * stripes + stripe) * rows + slot - first] = sum;
        }
      }
    }
  },
  tolerance: { absolute: 1e-5, relative: 4e-6, reason: "products and their sum in single precision" },
  cases: () =>
    [
      { WIDTH: 4, HEAD_DIM: 4, GROUP: 1, hidden: 4, newest: 1000 },
      { WIDTH: 44, HEAD_DIM: 36, GROUP: 3, hidden: 530, newest: 5 },
      { WIDTH: 64, HEAD_DIM: 64, GROUP: 2, hidden: 67, newest: 70 },
    ].flatMap(({ newest, ...shape }) =>
      lives().map((live) => {
        const { heads, firstHead, stride, allHeads, start, end } = live;
        const rows = Math.min(stride, newest);
        return {
          name: `${live.name}, ${rows} rows, ${shape.GROUP} × ${shape.HEAD_DIM} to ${shape.hidden}`,
          buffers: {
            values: slotRows(live, shape.WIDTH, shape.HEAD_DIM, 3),
            matrix: numbers(shape.hidden * heads * shape.GROUP * shape.HEAD_DIM, 7),
            start,
            end,
            parts: new Float32Array(allHeads * valueNormStripes(shape.hidden) * rows),
          },
          values: { heads, firstHead, stride, rows, ...shape },
        };
      })
    ),
});
