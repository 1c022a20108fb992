/**
 * Expected softmax: largest logit and sum of a query head's row, between `expected_logits` and `expected_score`. One dispatch per layer; moves 8 live
 * bytes per query head.
 */
import { numbers } from "../cases/cases.ts";
import { LOWEST } from "./expected_logits.ts";
import source from "./expected_softmax.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { lives } from "../cases/live.ts";

export const expectedSoftmax = defineKernel({
  name: "expected_softmax",
  source,
  bindings: {
    /** [heads * GROUP, stride]. */
    logits: "read",
    /** First live slot, [all heads]. */
    start: "read",
    /** The one behind the last live slot, [all heads]. */
    end: "read",
    /** (largest, sum), [heads * GROUP, 2]. */
    softmax: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["GROUP"],
  threads: 256,
  grid: ({ heads, GROUP }) => [heads * GROUP],
  cpu({ logits, start, end, softmax }, { heads, firstHead, stride, GROUP }) {
    for (let query = 0; query < heads * GROUP; query++) {
      const head = firstHead + Math.floor(query / GROUP);
      const row = logits.subarray(query * stride + start[head]!, query * stride + end[head]!);
      let most = LOWEST, sum = 0;
      for (const logit of row) most = Math.max(most, logit);
      for (const logit of row) sum += Math.exp(logit - most);
      softmax.set([most, sum], 2 * query);
    }
  },
  tolerance: { absolute: 0, relative: 1e-5, reason: "up to 301 exponentials, each right to 1e-6, in single precision" },
  cases: () =>
    lives().flatMap((live) =>
      ([["numbers", (x: number) => 5 * x], ["all equal", () => -7], ["all left out", () => LOWEST], [
        "some left out",
        (x: number) => x > 0 ? LOWEST : 40 * x,
      ]] as const).map(([what, of]) => {
        const { heads, firstHead, stride, start, end } = live, GROUP = 2;
        const logits = numbers(heads * GROUP * stride, 4).map((x, i) => {
          const head = firstHead + Math.floor(i / stride / GROUP), slot = i % stride;
          return slot >= start[head]! && slot < end[head]! ? of(x) : NaN;
        });
        return {
          name: `${live.name}, ${what}`,
          buffers: { logits, start, end, softmax: new Float32Array(2 * heads * GROUP) },
          values: { heads, firstHead, stride, GROUP },
        };
      })
    ),
});
