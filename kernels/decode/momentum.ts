/**
 * Momentum: the attention of a written token to the written slots, summed up with a decay: `accumulate` of `core/decode/observe.ts` where `share` is 1 (H2O,
 * R-KV, decay 1), `accumulateByLayer` where it is the number of KV heads (TOVA, decay 0; Moment-KV). One dispatch per observed token for all layers; moves
 * 12 bytes per written slot of every head.
 */
import { accumulate, accumulateByLayer } from "../../core/decode/observe.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./momentum.wgsl" with { type: "text" };
import { writings, writtenCache } from "../cases/written.ts";

export const momentum = defineKernel({
  name: "momentum",
  source,
  bindings: {
    /** The token's attention to its head's slots, mean over the heads of a group, [heads, stride]; of the written ones, as `askLayer` gives it. */
    mass: "read",
    /** The one behind the last live slot, [heads]; the written ones are the last. */
    end: "read",
    /** The slot attribute `momentum`, [heads, stride]. */
    momentum: "write",
  },
  /** `share` neighbouring heads agree on the mean of theirs. */
  params: { heads: "u32", stride: "u32", written: "u32", share: "u32", decay: "f32" },
  constants: [],
  threads: 256,
  grid: ({ heads, written, share }, threads) => [Math.ceil(written / threads), heads / share],
  cpu({ mass, end, momentum }, { heads, stride, written, share, decay }) {
    const start = Uint32Array.from(end, (behind) => behind - written);
    const cache = writtenCache({ start, end, momentum }, { heads, stride, share });
    const context = { cache, written, budget: 0 }, given = new Float32Array(heads * written);
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!;
      given.set(mass.subarray(from, from + written), head * written);
    }
    (share === 1 ? accumulate : accumulateByLayer)(context, given, decay);
    for (let head = 0; head < heads; head++) {
      momentum.set(cache.attribute("momentum", head), head * stride + start[head]!);
    }
  },
  tolerance: { absolute: 1e-6, relative: 5e-7, reason: "the decay and a mean in single precision" },
  cases: () =>
    writings().flatMap((
      { name, heads, kvHeads, stride, end, written },
    ) =>
      ([[1, 1], [kvHeads, 0], [kvHeads, 0.9], [kvHeads, 0.99]] as const).map(([share, decay]) => ({
        name: `${name}, decay ${decay}, ${share} heads agree`,
        buffers: {
          mass: numbers(heads * stride, 3).map(Math.abs),
          end,
          momentum: numbers(heads * stride, 2).map(Math.abs),
        },
        values: { heads, stride, written, share, decay },
      }))
    ),
});
