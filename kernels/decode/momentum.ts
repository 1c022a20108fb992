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
    /** The token's attention to each written slot, mean over the heads of a group, [heads, written]. */
    mass: "read",
    /** The one behind the last live slot, [heads]; the written ones are the last. */
    end: "read",
    /** The slot attribute `momentum`, [heads, stride]. */
    momentum: "write",
  },
  /** `share` neighbouring heads agree on the mean of theirs; `fresh` slots were appended since the last launch and have no momentum yet. */
  params: { heads: "u32", stride: "u32", written: "u32", fresh: "u32", share: "u32", decay: "f32" },
  constants: [],
  threads: 256,
  grid: ({ heads, written, share }, threads) => [Math.ceil(written / threads), heads / share],
  cpu({ mass, end, momentum }, { heads, stride, written, fresh, share, decay }) {
    for (let head = 0; head < heads; head++) {
      const behind = head * stride + end[head]!;
      momentum.fill(0, behind - Math.min(fresh, written), behind);
    }
    const start = Uint32Array.from(end, (behind) => behind - written);
    const cache = writtenCache({ start, end, momentum }, { heads, stride, share });
    const context = { cache, written, budget: 0 }, given = Float32Array.from(mass);
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
      ([[1, 1, 0], [1, 1, 1], [kvHeads, 0, 16], [kvHeads, 0.9, 1], [kvHeads, 0.99, 1000]] as const).map((
        [share, decay, fresh],
      ) => {
        const past = numbers(heads * stride, 2).map(Math.abs);
        // what a fresh slot holds, somebody else left
        for (let head = 0; head < heads; head++) {
          const behind = head * stride + end[head]!;
          past.fill(NaN, behind - Math.min(fresh, written), behind);
        }
        return {
          name: `${name}, decay ${decay}, ${share} heads agree, ${fresh} fresh`,
          buffers: { mass: numbers(heads * written, 3).map(Math.abs), end, momentum: past },
          values: { heads, stride, written, fresh, share, decay },
        };
      })
    ),
});
