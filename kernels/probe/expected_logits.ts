/**
 * Expected logits: the first of three kernels that make `core/probe/expected.ts` of an expectation, before `expected_softmax` and `expected_score`; the
 * products of `core/dense/expected_attention.ts`. One dispatch per layer; moves 4 live headDim (headDim / 64 + 1) bytes of keys per query head, 4 headDim²
 * ⌈live / 64⌉ of forms (most of both out of the device's caches) and 4 live written; 2 live headDim² operations per query head.
 */
import { numbers } from "../cases/cases.ts";
import source from "./expected_logits.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { lives, slotRows, slotTokens, WIDTHS } from "../cases/live.ts";

/** What slots get that are left out of the softmax: the lowest float32. */
export const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

/** Slots in front of a head whose token is one of the first `sinks`: the first slot behind them. */
export function behindLeading(tokens: ArrayLike<number>, from: number, end: number, sinks: number): number {
  let slot = from;
  while (slot < end && tokens[slot]! >= 0 && tokens[slot]! < sinks) slot++;
  return slot;
}

export const expectedLogits = defineKernel({
  name: "expected_logits",
  source,
  bindings: {
    /** The layer's keys, [heads, stride, WIDTH]. */
    keys: "read",
    /** [heads * GROUP, HEAD_DIM]. */
    mean: "read",
    /** [heads * GROUP, HEAD_DIM, HEAD_DIM]. */
    form: "read",
    /** Token of each slot, [all heads, stride]. */
    source: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** [heads * GROUP, stride]. */
    logits: "write",
  },
  stored: ["keys"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", sinks: "u32" },
  constants: ["WIDTH", "HEAD_DIM", "GROUP"],
  threads: 256,
  grid: ({ heads, stride, GROUP }, threads) => [Math.ceil(stride / (threads / 4)), heads * GROUP],
  cpu(
    { keys, mean, form, source, start, end, logits },
    { heads, firstHead, stride, sinks, WIDTH, HEAD_DIM, GROUP },
  ) {
    for (let query = 0; query < heads * GROUP; query++) {
      const h = Math.floor(query / GROUP), head = firstHead + h, behind = head * stride + end[head]!;
      const leading = behindLeading(source, head * stride + start[head]!, behind, sinks) - head * stride;
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        const key = (h * stride + slot) * WIDTH;
        let sum = 0;
        for (let i = 0; i < HEAD_DIM; i++) {
          let turned = mean[query * HEAD_DIM + i]!;
          const row = (query * HEAD_DIM + i) * HEAD_DIM;
          for (let j = 0; j < HEAD_DIM; j++) turned += form[row + j]! * keys[key + j]!;
          sum += turned * keys[key + i]!;
        }
        logits[query * stride + slot] = slot < leading ? LOWEST : sum;
      }
    }
  },
  tolerance: { absolute: 2e-4, relative: 2e-6, reason: "up to 128² products of both signs in single precision" },
  cases: () =>
    WIDTHS.flatMap((width) =>
      lives().map((live) => {
        const { heads, firstHead, stride, start, end } = live, GROUP = width.HEAD_DIM === 36 ? 3 : 1;
        return {
          name: `${live.name}, ${GROUP} heads of ${width.HEAD_DIM} of ${width.WIDTH} columns`,
          buffers: {
            keys: slotRows(live, width.WIDTH, width.HEAD_DIM, 3),
            mean: numbers(heads * GROUP * width.HEAD_DIM, 4),
            form: numbers(heads * GROUP * width.HEAD_DIM ** 2, 5).map((x) => x / 16),
            source: slotTokens(live),
            start,
            end,
            logits: new Float32Array(heads * GROUP * stride).fill(NaN),
          },
          values: { heads, firstHead, stride, sinks: 4, GROUP, ...width },
        };
      })
    ),
});
