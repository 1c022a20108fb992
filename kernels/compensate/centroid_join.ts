/**
 * Centroid join: what is evicted becomes part of the nearest centroid: key, value, log-bias (column D of the key row) and count. The counterpart of
 * `Clusters.absorb` in `core/compensate/centroids.ts`, in the same order and with the same running means.
 *
 * Dispatches: 1 per layer. Bytes: joining slots × (8 D + 16 + 16 D / 32) + centroids × 16 D.
 */
import source from "./centroid_join.wgsl" with { type: "text" };
import { scattered } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { flowing } from "./receive.ts";
import { NONE } from "./top_similar.ts";

/** Threads of a centroid, as in the shader. */
const LANES = 32;
const LEAST_MASS = 1e-12;

export const centroidJoin = defineKernel({
  name: "centroid_join",
  source,
  bindings: {
    /** Centroids [all heads, stride], how many [all heads]. */
    receivers: "read",
    receiverCount: "read",
    /** Slots that join them [all heads, stride]. */
    rows: "read",
    /** Of `receive_chains` with M = 1, [heads, stride × 2]. */
    chains: "read",
    /** Attention mass of slots [all heads, stride], what they weigh; only looked at with BY_MASS, else they weigh as many tokens as they stand for. */
    mass: "read",
    /** Tokens that a slot stands for, 0 for one, [all heads, stride]. */
    count: "write",
    /** The layer's rows [heads, stride, WIDTH], WIDTH > D. */
    keys: "write",
    values: "write",
  },
  stored: ["keys", "values"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "D", "BY_MASS"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu({ receivers, receiverCount, rows, chains, mass, count, keys, values }, of) {
    const { heads, firstHead, stride, WIDTH, D, BY_MASS } = of;
    const weight = (at: number) => BY_MASS ? mass[at]! + LEAST_MASS : count[at]! || 1;
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, run = head * stride;
      for (let j = 0; j < receiverCount[firstHead + head]!; j++) {
        let a = chains[2 * run + j]!;
        if (a === NONE) continue;
        const centre = receivers[lists + j]!, to = (run + centre) * WIDTH;
        let n = weight(lists + centre), stood = count[lists + centre]! || 1, bias = keys[to + D]!;
        for (; a !== NONE; a = chains[2 * run + stride + a]!) {
          const slot = rows[lists + a]!, at = (run + slot) * WIDTH, w = weight(lists + slot), share = w / (n += w);
          for (const pool of [keys, values]) {
            for (let d = 0; d < D; d++) pool[to + d]! += share * (pool[at + d]! - pool[to + d]!);
          }
          bias = (1 - share) * bias + share * keys[at + D]! - share * Math.log(share) -
            (1 - share) * Math.log(1 - share);
          stood += count[lists + slot]! || 1;
        }
        keys[to + D] = bias;
        count[lists + centre] = stood;
      }
    }
  },
  tolerance: {
    absolute: 1e-5,
    relative: 1e-5,
    reason: "running means and logarithms in single precision, over up to 133 slots",
  },
  cases: () =>
    losingHeads().flatMap((of) =>
      ([[20, 28, 1], [64, 72, 0]] as const).map(([D, WIDTH, BY_MASS]) => {
        const { allHeads, firstHead, stride } = of, size = (allHeads - firstHead) * stride;
        return {
          name: `${of.name}, ${D} of ${WIDTH} columns, weighed by ${BY_MASS ? "mass" : "count"}`,
          buffers: {
            receivers: of.receivers,
            receiverCount: of.receiverCount,
            rows: of.evicted,
            chains: flowing(of, 1).chains,
            mass: of.mass,
            count: Float32Array.from(of.mass, (_, i) => i % 3 === 0 ? 0 : i * 7 % 40),
            keys: scattered(size * WIDTH, 12),
            values: scattered(size * WIDTH, 13),
          },
          values: { heads: allHeads - firstHead, firstHead, stride, WIDTH, D, BY_MASS },
        };
      })
    ),
});
