/**
 * Top-k: the slots of every head that stay. The counterpart of `core/select/topk.ts`, which is its reference; one launch serves all heads of all layers,
 * each with its own quota.
 */
import { highest } from "../core/select/topk.ts";
import { numbers } from "./cases.ts";
import { defineKernel, EXACT } from "./kernel.ts";
import source from "./top_k.wgsl" with { type: "text" };

export const topK = defineKernel({
  name: "top_k",
  source,
  bindings: {
    /** Higher means keep, [heads, stride]. */
    scores: "read",
    /** 1 for slots that must stay, [heads, stride]. */
    shielded: "read",
    /** Live slots, [heads]. */
    live: "read",
    /** Slots to keep, [heads]; more than are live keeps all. */
    quota: "read",
    /** Ascending slots that stay, [heads, stride]; undefined from `count` on. */
    kept: "write",
    /** How many stay, [heads]. */
    count: "write",
  },
  params: { heads: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ scores, shielded, live, quota, kept, count }, { heads, stride }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride, n = live[head]!;
      const first = Uint8Array.from(shielded.subarray(from, from + n));
      const slots = highest(Float32Array.from(scores.subarray(from, from + n)), quota[head]!, first);
      kept.set(slots, from);
      count[head] = slots.length;
    }
  },
  tolerance: EXACT,
  cases: () => {
    const scores = (n: number) => Array.from(numbers(n, 5), (x, i) => x * 3 ** (i % 30 - 15));
    const odd = [-0, 0, Infinity, -Infinity, NaN, 1e-45, -1e-45, 3.4e38, -3.4e38, 1, -1, 1];
    const cases: [name: string, heads: number[][], quota: number[], guarded: number][] = [
      ["one slot", [[7]], [1], 0],
      ["one of one slot and nothing of the next", [[7], [7]], [1, 0], 0],
      ["no live slot", [[], [1, 2, 3]], [3, 1], 0],
      ["more than are live", [scores(70), scores(3)], [100, 100], 0],
      [
        "lengths that are multiples of nothing",
        [scores(1001), scores(63), scores(257), scores(2)],
        [333, 1, 256, 1],
        0,
      ],
      ["many slots", [scores(9000), scores(8999)], [1024, 8998], 36],
      ["all equal", [Array(777).fill(0.25), Array(64).fill(-3)], [100, 63], 0],
      ["a few values, many ties", [Array.from({ length: 1500 }, (_, i) => i * 7 % 3)], [901], 3],
      ["infinities, zeros of both signs, the smallest numbers", Array.from(odd, () => odd), [...odd.keys()], 0],
      ["all NaN", [Array(300).fill(NaN)], [17], 2],
      ["more protected than kept", [scores(100)], [3], 40],
    ];
    return cases.map(([name, heads, quota, guarded]) => {
      const stride = Math.max(1, ...heads.map((head) => head.length)) + 3;
      const buffers = {
        scores: new Float32Array(heads.length * stride).fill(1e9), // what is not live must not be looked at
        shielded: new Uint32Array(heads.length * stride),
        live: Uint32Array.from(heads, (head) => head.length),
        quota: Uint32Array.from(quota),
        kept: new Uint32Array(heads.length * stride),
        count: new Uint32Array(heads.length),
      };
      heads.forEach((head, h) => {
        buffers.scores.set(head, h * stride);
        for (let i = 0; i < guarded; i++) buffers.shielded[h * stride + (i < 4 ? i : head.length - i)] = 1;
      });
      return { name, buffers, values: { heads: heads.length, stride } };
    });
  },
});
