/**
 * Receive bounded: what flows is added to the receivers' values, in place, which become no longer than the longest of those that they are made of. The
 * counterpart of `gather` and `addBounded` as `core/compensate/flow_add.ts` uses them.
 *
 * Dispatches: 1 per layer. Bytes: receivers reached × 8 D + assignments × (4 D + 8), and 4 per receiver.
 */
import { addBounded } from "../../core/compensate/heads.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { flowing, sums } from "./receive.ts";
import source from "./receive_bounded.wgsl" with { type: "text" };

/** Threads of a receiver, as in the shader. */
const LANES = 32;

export const receiveBounded = defineKernel({
  name: "receive_bounded",
  source,
  bindings: {
    /** [all heads, stride], [all heads]. */
    receivers: "read",
    receiverCount: "read",
    /** Evicted slots that flow [all heads, stride]. */
    rows: "read",
    /** Of `receive_chains`, [heads, stride × (1 + M)]. */
    chains: "read",
    /** Of `flow_shares`, [heads, stride, M]. */
    shares: "read",
    /** Of `longest_rows`, [heads]; only looked at where BOUNDED is 1. */
    longest: "read",
    /** The layer's values [heads, stride, WIDTH]. */
    values: "write",
  },
  stored: ["values"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", gate: "f32" },
  constants: ["WIDTH", "D", "M", "BOUNDED"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu(of, { heads, firstHead, stride, gate, WIDTH, D, M, BOUNDED }) {
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, run = head * stride, width = of.receiverCount[firstHead + head]!;
      const { received, flowed } = sums(of, { run, lists, width, stride, WIDTH, D, M });
      const limit = BOUNDED ? of.longest[head]! : Infinity, values = of.values as Float32Array;
      for (let j = 0; j < width; j++) {
        const to = (run + of.receivers[lists + j]!) * WIDTH;
        if (received[j] !== 0) addBounded(values, to, flowed, j * D, gate, D, limit);
      }
    }
  },
  tolerance: { absolute: 5e-6, relative: 5e-6, reason: "sums and quotients in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      ([[20, 28, 4, 1, 0.1], [64, 64, 3, 1, 5], [8, 8, 1, 0, 0.5]] as const).map(([D, WIDTH, M, BOUNDED, gate]) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${M} for each, ${D} of ${WIDTH} columns, gate ${gate}`,
          buffers: {
            ...flowing(of, M),
            receivers: of.receivers,
            receiverCount: of.receiverCount,
            rows: of.evicted,
            longest: Float32Array.from({ length: heads }, (_, head) => 4 + head),
            values: numbers(heads * stride * WIDTH, 12),
          },
          values: { heads, firstHead, stride, gate, WIDTH, D, M, BOUNDED },
        };
      })
    ),
});
