/**
 * Receive mean: D2O's merge of what was like enough, once for keys and once for values. The counterpart of the merge in `core/compensate/d2o.ts`.
 *
 * Dispatches: 2 per layer. Bytes of each: receivers reached × 8 D + merged rows × (4 D + 12), and 4 per receiver.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { flowing, sums } from "./receive.ts";
import source from "./receive_mean.wgsl" with { type: "text" };
import { NONE } from "./top_similar.ts";

/** Threads of a receiver, as in the shader. */
const LANES = 32;

export const receiveMean = defineKernel({
  name: "receive_mean",
  source,
  bindings: {
    /** [all heads, stride], [all heads]. */
    receivers: "read",
    receiverCount: "read",
    /** Evicted slots [all heads, stride]. */
    rows: "read",
    /** Of `receive_chains` with M = 1, [heads, stride × 2]. */
    chains: "read",
    /** Cosines [heads, stride]. */
    shares: "read",
    /** The layer's keys or values [heads, stride, WIDTH]. */
    pool: "write",
  },
  stored: ["pool"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "D"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu({ pool, ...of }, { heads, firstHead, stride, WIDTH, D }) {
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, run = head * stride, width = of.receiverCount[firstHead + head]!;
      const { flowed } = sums({ ...of, values: pool }, { run, lists, width, stride, WIDTH, D, M: 1 });
      for (let j = 0; j < width; j++) {
        let count = 1;
        for (let a = of.chains[2 * run + j]!; a !== NONE; a = of.chains[2 * run + stride + a]!) count++;
        const to = (run + of.receivers[lists + j]!) * WIDTH;
        for (let d = 0; d < D; d++) pool[to + d] = (pool[to + d]! + flowed[j * D + d]!) / count;
      }
    }
  },
  tolerance: { absolute: 5e-6, relative: 1e-6, reason: "sums in single precision; rows of at most 2" },
  cases: () =>
    losingHeads().flatMap((of) =>
      [[20, 28], [64, 64]].map(([D, WIDTH]) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${D} of ${WIDTH} columns`,
          buffers: {
            ...flowing(of, 1),
            receivers: of.receivers,
            receiverCount: of.receiverCount,
            rows: of.evicted,
            pool: numbers(heads * stride * WIDTH!, 12),
          },
          values: { heads, firstHead, stride, WIDTH: WIDTH!, D: D! },
        };
      })
    ),
});
