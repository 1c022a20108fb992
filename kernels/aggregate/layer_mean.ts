/**
 * Mean over all heads of a layer: every KV head scores a token alike; of a token that some heads have evicted, the mean over those that still hold it. The
 * counterpart of `layerMean` in `core/aggregate/layer_mean.ts`, its reference.
 *
 * One dispatch for all heads of all layers. Bytes: B = 4 · live slots of all heads · (2 + 2 · kvHeads) where the heads kept the same tokens, and up to
 * log2(live) times as many where they did not; the GPU's cache serves all but 12 · live slots of them.
 */
import { layerMean as aggregate } from "../../core/aggregate/layer_mean.ts";
import type { StageContext } from "../../core/policy.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./layer_mean.wgsl" with { type: "text" };

export const layerMean = defineKernel({
  name: "layer_mean",
  source,
  bindings: {
    /** Mean over rows and the heads of a group, or a score, [all heads, stride]. */
    mass: "read",
    /** Slot attribute: index of the token in the prompt, ascending; -1 for a slot that stands for several tokens, anywhere between. */
    source: "read",
    /** Live slots are start..end, [all heads]. */
    start: "read",
    end: "read",
    /** [all heads, stride]; other slots than the live ones stay as they are. */
    means: "write",
  },
  params: { heads: "u32", kvHeads: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ mass, source, start, end, means }, { heads, kvHeads, stride }) {
    const live = <T extends typeof mass>(all: T, head: number) =>
      all.subarray(head * stride + start[head]!, head * stride + end[head]!) as T;
    const score = Array.from({ length: heads }, (_, head) => Float32Array.from(live(mass, head)));
    const cache = { shape: { layers: heads / kvHeads, kvHeads }, sources: (head: number) => live(source, head) };
    const out = aggregate().score({ score }, { cache } as unknown as StageContext) as Float32Array<ArrayBuffer>[];
    out.forEach((row, head) => means.set(row, head * stride + start[head]!));
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "the sum over the heads is single precision" },
  cases: () => {
    const every = (n: number, from = 0, step = 1) => Array.from({ length: n }, (_, i) => from + i * step);
    const memory = (n: number) => Array<number>(n).fill(-1);
    const cases: [name: string, kvHeads: number, heads: number[][]][] = [
      ["one slot of one head", 1, [[7]]],
      ["no slot", 2, [[], [], [], [0, 1, 2]]],
      ["the same tokens", 3, [every(301), every(301), every(301)]],
      ["ragged, two layers", 2, [every(700), every(211, 1, 3), every(90, 5, 2), [3, 5, 7, 400, 9999]]],
      ["nothing in common", 2, [every(100, 0, 2), every(257, 1, 2)]],
      [
        "slots that stand for several tokens",
        3,
        [
          [0, 1, 2, 3, ...memory(9), ...every(50, 9)],
          [...memory(9), 0, 1, 2, 3, ...every(150, 7)],
          [...every(40), ...memory(30)],
        ],
      ],
      ["only those", 2, [memory(5), [...memory(3), 4]]],
    ];
    return cases.map(([name, kvHeads, heads]) => {
      const most = Math.max(...heads.map((slots) => slots.length));
      const start = Uint32Array.from(heads, (slots, head) => head % 2 ? most - slots.length : 0);
      const source = new Int32Array(heads.length * most).fill(3); // what is not live must not be looked at
      heads.forEach((slots, head) => source.set(slots, head * most + start[head]!));
      const end = Uint32Array.from(heads, (slots, head) => start[head]! + slots.length);
      const mass = numbers(source.length, 61), means = new Float32Array(mass.length).fill(-7);
      return {
        name,
        buffers: { mass, source, start, end, means },
        values: { heads: heads.length, kvHeads, stride: most },
      };
    });
  },
});
