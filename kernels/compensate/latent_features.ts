/**
 * Latent features: φ of the keys that heads lose, turned back to position 0, for `latent_write`. The counterpart of what `core/compensate/latent_memory.ts`
 * does with them. One dispatch per layer; moves 4 (D + R) bytes per evicted slot, and 4 D R of weights out of the device's cache.
 */
import { latentFeatures as reference } from "../../core/compensate/latent_state.ts";
import { Rope } from "../../core/rope.ts";
import { numbers } from "../cases/cases.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import { FINE, rotationTable } from "../compact/rotation.ts";
import { defineKernel } from "../kernel.ts";
import source from "./latent_features.wgsl" with { type: "text" };

export const latentFeatures = defineKernel({
  name: "latent_features",
  source,
  bindings: {
    /** The layer's [heads, stride, WIDTH]. */
    keys: "read",
    /** Of `split_slots`, [all heads, stride], [all heads]. */
    evicted: "read",
    evictedCount: "read",
    /** RoPE index at which each key stands, [all heads, stride]. */
    position: "read",
    /** `rotationTable`. */
    turns: "read",
    /** [D, rank] */
    phi: "read",
    /** [heads, stride, rank], by place in the list. */
    features: "write",
  },
  stored: ["keys"],
  params: { heads: "u32", firstHead: "u32", stride: "u32", rank: "u32" },
  constants: ["WIDTH", "D"],
  threads: 64,
  grid: ({ heads, stride }) => [stride, heads],
  cpu({ keys, evicted, evictedCount, position, turns, phi, features }, numbers) {
    const { heads, firstHead, stride, rank, WIDTH, D } = numbers, half = D / 2, weights = Float32Array.from(phi);
    for (let head = 0; head < heads; head++) {
      const list = (firstHead + head) * stride;
      for (let i = 0; i < evictedCount[firstHead + head]!; i++) {
        const slot = evicted[list + i]!, row = (head * stride + slot) * WIDTH, n = position[list + slot]!;
        const key = new Float32Array(D);
        for (let j = 0; j < half; j++) {
          const fine = 2 * ((n % FINE) * half + j), coarse = 2 * ((FINE + Math.floor(n / FINE)) * half + j);
          const cos = turns[fine]! * turns[coarse]! - turns[fine + 1]! * turns[coarse + 1]!;
          const sin = turns[fine]! * turns[coarse + 1]! + turns[fine + 1]! * turns[coarse]!;
          const x = keys[row + j]!, y = keys[row + half + j]!;
          key[j] = x * cos + y * sin;
          key[half + j] = y * cos - x * sin;
        }
        features.set(reference(weights, key, D), (head * stride + i) * rank);
      }
    }
  },
  tolerance: { absolute: 5e-5, relative: 1e-5, reason: "products of at most 4 summed in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      [[20, 28, 5], [64, 64, 70]].map(([D, WIDTH, rank]) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${D} of ${WIDTH} columns, rank ${rank}`,
          buffers: {
            keys: numbers(heads * stride * WIDTH!, 3),
            evicted: of.evicted,
            evictedCount: of.evictedCount,
            position: Int32Array.from({ length: allHeads * stride }, (_, i) => i % stride + (i * 37 % 9000)),
            turns: rotationTable(new Rope({ headDim: D!, ropeTheta: 10000, ropeScaling: null }), 9000 + stride),
            phi: numbers(D! * rank!, 4).map((x) => x / 4),
            features: new Float32Array(heads * stride * rank!).fill(7),
          },
          values: { heads, firstHead, stride, rank: rank!, WIDTH: WIDTH!, D: D! },
        };
      })
    ),
});
