/**
 * Expected score: the expected attention of every slot, times the length of its value as `core/probe/expected.ts` has it, or without as `expected_mass.ts` there; after `expected_logits` and
 * `expected_softmax`. What leading slots get, `expected_leading` says afterwards. One dispatch per layer; moves 4 (headDim + GROUP + 1) bytes per live slot
 * of every head.
 */
import { numbers } from "../cases/cases.ts";
import { LOWEST } from "./expected_logits.ts";
import source from "./expected_score.wgsl" with { type: "text" };
import { expectedSoftmax } from "./expected_softmax.ts";
import { defineKernel } from "../kernel.ts";
import { SHARING } from "./knorm.ts";
import { lives, slotNumbers, slotRows, WIDTHS } from "../cases/live.ts";

export const expectedScore = defineKernel({
  name: "expected_score",
  source,
  bindings: {
    /** The layer's values, [heads, stride, WIDTH]. */
    values: "read",
    /** [heads * GROUP, stride]. */
    logits: "read",
    /** [heads * GROUP, 2]. */
    softmax: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** [all heads, stride]. */
    scores: "write",
  },
  stored: ["values"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  /** WEIGHTED: whether the length counts. */
  constants: ["WIDTH", "HEAD_DIM", "GROUP", "WEIGHTED"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / (threads / SHARING)), heads],
  cpu({ values, logits, softmax, start, end, scores }, { heads, firstHead, stride, WIDTH, HEAD_DIM, GROUP, WEIGHTED }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h;
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        const row = (h * stride + slot) * WIDTH;
        let weight = 0;
        for (let query = h * GROUP; query < (h + 1) * GROUP; query++) {
          weight += Math.exp(logits[query * stride + slot]! - softmax[2 * query]!) / softmax[2 * query + 1]!;
        }
        scores[head * stride + slot] = weight / GROUP *
          (WEIGHTED ? Math.hypot(...values.subarray(row, row + HEAD_DIM)) : 1);
      }
    }
  },
  tolerance: { absolute: 0, relative: 1e-5, reason: "exponentials right to 1e-6, in single precision" },
  cases: () =>
    WIDTHS.flatMap((width) =>
      lives().map((live) => {
        const { heads, firstHead, stride, start, end } = live, GROUP = width.HEAD_DIM === 36 ? 3 : 1;
        const values = { heads, firstHead, stride, GROUP, ...width, WEIGHTED: Number(width.HEAD_DIM !== 36) };
        const logits = numbers(heads * GROUP * stride, 4).map((x, i) => i % stride < 4 ? LOWEST : 4 * x);
        const softmax = new Float32Array(2 * heads * GROUP);
        expectedSoftmax.cpu({ logits, start, end, softmax }, values);
        return {
          name: `${live.name}, ${GROUP} heads of ${width.HEAD_DIM} of ${width.WIDTH} columns`,
          buffers: {
            values: slotRows(live, width.WIDTH, width.HEAD_DIM, 3),
            logits,
            softmax,
            start,
            end,
            scores: slotNumbers(live, 1),
          },
          values,
        };
      })
    ),
});
