/**
 * Receive: what flows is blended into the receivers' values, in place, and with MASS their log-bias rises, which stands in column D of the key row and
 * nowhere else. The counterpart of `gather` in `core/compensate/flow_weights.ts` and of what `flow.ts`, `flow_convex.ts` and `merge.ts` beside it do with
 * its sums: one formula, where `merge` is the convex form with gamma = 1.
 *
 * Dispatches: 1 per layer. Bytes: receivers reached × 8 D + assignments × (4 D + 8), and 4 per receiver.
 */
import { numbers } from "../cases/cases.ts";
import { gather } from "../../core/compensate/flow_weights.ts";
import { defineKernel } from "../kernel.ts";
import { type LosingHeads, losingHeads } from "../cases/losing_heads.ts";
import { assignments, receiveChains } from "./receive_chains.ts";
import source from "./receive.wgsl" with { type: "text" };
import { NONE } from "./top_similar.ts";

/** Threads of a receiver, as in the shader. */
const LANES = 32;

export const receive = defineKernel({
  name: "receive",
  source,
  bindings: {
    /** [all heads, stride], [all heads]. */
    receivers: "read",
    receiverCount: "read",
    /** Evicted slots that flow [all heads, stride]. */
    rows: "read",
    /** Of `receive_chains`, [heads, stride × (1 + M)]. */
    chains: "read",
    /** Of `flow_shares` or `merge_shares`, [heads, stride, M]. */
    shares: "read",
    /** Attention mass of slots [all heads, stride]; only looked at with MASS. */
    mass: "read",
    /** The layer's values and keys [heads, stride, WIDTH]; keys only change with MASS, and only in column D. */
    values: "write",
    keys: "write",
  },
  stored: ["values", "keys"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", gamma: "f32" },
  constants: ["WIDTH", "D", "M", "MASS"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu(of, { heads, firstHead, stride, gamma, WIDTH, D, M, MASS }) {
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, run = head * stride, width = of.receiverCount[firstHead + head]!;
      const { received, flowed } = sums(of, { run, lists, width, stride, WIDTH, D, M });
      for (let j = 0; j < width; j++) {
        if (received[j] === 0) continue;
        const slot = of.receivers[lists + j]!,
          own = MASS ? of.mass[lists + slot]! : 1,
          all = own + gamma * received[j]!;
        for (let d = 0; d < D; d++) {
          const at = (run + slot) * WIDTH + d;
          of.values[at] = (own * of.values[at]! + gamma * flowed[j * D + d]!) / all;
        }
        if (MASS) of.keys[(run + slot) * WIDTH + D]! += Math.log(all / own);
      }
    }
  },
  tolerance: {
    absolute: 2e-6,
    relative: 1e-6,
    reason: "sums, quotients and logarithms in single precision; rows of at most 2",
  },
  cases: () =>
    losingHeads().flatMap((of) =>
      ([[20, 28, 4, 1], [64, 64, 3, 0], [8, 8, 1, 0]] as const).map(([D, WIDTH, M, MASS]) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${M} for each, ${D} of ${WIDTH} columns${MASS ? ", by mass" : ""}`,
          buffers: {
            ...flowing(of, M),
            receivers: of.receivers,
            receiverCount: of.receiverCount,
            rows: of.evicted,
            mass: of.mass,
            values: numbers(heads * stride * WIDTH, 12),
            keys: numbers(heads * stride * WIDTH, 13),
          },
          values: { heads, firstHead, stride, gamma: MASS ? 1 : 0.5, WIDTH, D, M, MASS },
        };
      })
    ),
});

/** A head's sums, by the function of the CPU path, which has slots of one head and no chains. */
export function sums(
  of: Record<"chains" | "shares" | "rows" | "values", ArrayLike<number>>,
  { run, lists, width, stride, WIDTH, D, M }: Record<
    "run" | "lists" | "width" | "stride" | "WIDTH" | "D" | "M",
    number
  >,
) {
  const flat: { row: number; receiver: number; share: number }[] = [], chain = run * (1 + M);
  for (let j = 0; j < width; j++) {
    for (let a = of.chains[chain + j]!; a !== NONE; a = of.chains[chain + stride + a]!) {
      flat.push({ row: Math.floor(a / M), receiver: j, share: of.shares[run * M + a]! });
    }
  }
  flat.sort((a, b) => a.row - b.row);
  const evicted = Int32Array.from(flat, ({ row }) => of.rows[lists + row]!);
  const values = Float32Array.from({ length: stride * D }, (_, i) => {
    return of.values[(run + Math.floor(i / D)) * WIDTH + i % D]!;
  });
  const top = { likeness: new Float32Array(0), index: Int32Array.from(flat, ({ receiver }) => receiver), m: 1 };
  return gather(top, Float32Array.from(flat, ({ share }) => share), width, values, evicted, D);
}

/** Chains and shares of invented assignments; every fifth row gives nothing. */
export function flowing(of: LosingHeads, M: number) {
  const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead, size = heads * stride;
  const { index, likeness } = assignments(of, M);
  const chains = new Uint32Array(size * (1 + M)).fill(NONE), load = new Float32Array(size);
  receiveChains.cpu(
    { index, likeness, rowCount: of.evictedCount, receiverCount: of.receiverCount, chains, load },
    { heads, firstHead, stride, temperature: 0.1, M },
  );
  const shares = numbers(size * M, 9).map((x, i) => Math.floor(i / M) % 5 === 0 ? 0 : (x + 2.125) / 8);
  return { chains, shares };
}
