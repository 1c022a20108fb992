/**
 * Flow shares: how much of every evicted slot goes to each of its receivers, in the place of their likeness. The counterpart of `flowWeights` in
 * `core/compensate/flow_weights.ts` and of the gates in `flow.ts`, `flow_convex.ts` and `flow_add.ts` beside it.
 *
 * Dispatches: 1 per layer. Bytes: rows × (20 M + 8).
 */
import { flowWeights } from "../../core/compensate/flow_weights.ts";
import source from "./flow_shares.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { assignments, rowWeights } from "./receive_chains.ts";
import { NONE } from "./top_similar.ts";

/** What GATE stands for: no gate; no more than the receiver has; beside a receiver of more mass, less. */
export const OPEN = 0, LESSER = 1, RATIO = 2;
/** Against a load of nothing, as `flowWeights` has it. */
export const EPSILON = 1e-6;

export const flowShares = defineKernel({
  name: "flow_shares",
  source,
  bindings: {
    /** Places of receivers, NONE for nobody, [heads, stride, M]. */
    index: "read",
    /** Of `receive_chains`, [heads, stride]. */
    load: "read",
    /** Attention mass of slots [all heads, stride]; not looked at where GATE is OPEN. */
    mass: "read",
    /** Evicted slots that flow [all heads, stride], how many [all heads]. */
    rows: "read",
    rowCount: "read",
    /** [all heads, stride]. */
    receivers: "read",
    /** Before: likeness, descending; after: shares; 0 for nobody. [heads, stride, M] */
    likeness: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", temperature: "f32", epsilon: "f32" },
  constants: ["M", "GATE"],
  threads: 64,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu(of, { heads, firstHead, stride, temperature, epsilon, M, GATE }) {
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, total = of.rowCount[firstHead + head]!, first = head * stride * M;
      if (total === 0) continue;
      const m = [...of.index.subarray(first, first + M)].filter((j) => j !== NONE).length;
      const places = Array.from({ length: total * m }, (_, a) => first + Math.floor(a / m) * M + a % m);
      const top = {
        likeness: Float32Array.from(places, (at) => of.likeness[at]!),
        index: Int32Array.from(places, (at) => of.index[at]!),
        m,
      };
      const shares = m ? flowWeights(top, stride, temperature, epsilon) : new Float32Array(0);
      of.likeness.fill(0, first, first + total * M);
      places.forEach((at, a) => {
        const own = of.mass[lists + of.rows[lists + Math.floor(a / m)]!]!;
        const theirs = of.mass[lists + of.receivers[lists + top.index[a]!]!]!;
        const gate = GATE === LESSER ? Math.min(own, theirs) : GATE === RATIO ? Math.min(1, own / theirs) : 1;
        of.likeness[at] = shares[a]! * gate;
      });
    }
  },
  tolerance: { absolute: 1e-7, relative: 2e-5, reason: "exponentials, sums and quotients in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      ([[4, LESSER], [3, RATIO], [1, OPEN]] as const).map(([M, GATE]) => {
        const { allHeads, firstHead, stride } = of,
          heads = allHeads - firstHead,
          { index, likeness } = assignments(of, M);
        const load = new Float32Array(heads * stride);
        for (let head = 0; head < heads; head++) {
          for (let row = 0; row < of.evictedCount[firstHead + head]!; row++) {
            const { to, weights } = rowWeights({ index, likeness }, (head * stride + row) * M, M, 0.1);
            to.forEach((receiver, k) => load[head * stride + receiver]! += weights[k]!);
          }
        }
        return {
          name: `${of.name}, ${M} for each, gate ${GATE}`,
          buffers: {
            index,
            load,
            mass: of.mass,
            rows: of.evicted,
            rowCount: of.evictedCount,
            receivers: of.receivers,
            likeness,
          },
          values: { heads, firstHead, stride, temperature: 0.1, epsilon: EPSILON, M, GATE },
        };
      })
    ),
});
