/**
 * Receive chains: turns the assignments of evicted slots to receivers round: for every receiver the list of what it gets, in the order of the evicted
 * slots, so that whoever sums over it needs no atomics and gets the same bits every time; and how much all evicted slots ask of it (the load of
 * `flowWeights` in `core/compensate/flow_weights.ts`).
 *
 * Dispatches: 1 per layer. Bytes: receivers / 256 × rows × 8 M (again and again the same: caches hold it), and rows × 4 M + receivers × 8.
 * Comparisons: receivers × rows.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { type LosingHeads, losingHeads } from "../cases/losing_heads.ts";
import source from "./receive_chains.wgsl" with { type: "text" };
import { NONE } from "./top_similar.ts";

export const receiveChains = defineKernel({
  name: "receive_chains",
  source,
  bindings: {
    /** Places of receivers in their list, NONE for nobody, [heads, stride, M]. The first of a row is somebody where any is. */
    index: "read",
    /** Descending, [heads, stride, M]. */
    likeness: "read",
    /** [all heads]. */
    rowCount: "read",
    receiverCount: "read",
    /** [heads, stride × (1 + M)]: at j the first assignment (row × M + place) of receiver j, at stride + a the one after a; NONE ends. */
    chains: "write",
    /** What all rows ask of a receiver, each 1, [heads, stride]. */
    load: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", temperature: "f32" },
  constants: ["M"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu(of, { heads, firstHead, stride, temperature, M }) {
    for (let head = 0; head < heads; head++) {
      const run = head * stride, chain = run * (1 + M), receivers = of.receiverCount[firstHead + head]!;
      const tails = Array.from({ length: receivers }, (_, j) => chain + j), load = new Float64Array(receivers);
      for (let row = 0; row < of.rowCount[firstHead + head]!; row++) {
        const { to, weights } = rowWeights(of, (run + row) * M, M, temperature);
        to.forEach((receiver, k) => {
          of.chains[tails[receiver]!] = row * M + k;
          tails[receiver] = chain + stride + row * M + k;
          load[receiver]! += weights[k]!;
        });
      }
      for (const tail of tails) of.chains[tail] = NONE;
      of.load.set(load, run);
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-5, reason: "exponentials and sums in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      [1, 3, 4].map((M) => {
        const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
        return {
          name: `${of.name}, ${M} for each`,
          buffers: {
            ...assignments(of, M),
            rowCount: of.evictedCount,
            receiverCount: of.receiverCount,
            chains: new Uint32Array(heads * stride * (1 + M)).fill(6),
            load: numbers(heads * stride, 7),
          },
          values: { heads, firstHead, stride, temperature: 0.1, M },
        };
      })
    ),
});

/** A row's receivers and the softmax over their likeness. @param at where the row begins */
export function rowWeights(
  { index, likeness }: { index: ArrayLike<number>; likeness: ArrayLike<number> },
  at: number,
  M: number,
  temperature: number,
): { to: number[]; weights: number[] } {
  const to = Array.from({ length: M }, (_, k) => index[at + k]!).filter((receiver) => receiver !== NONE);
  const weights = to.map((_, k) => Math.exp((likeness[at + k]! - likeness[at]!) / temperature));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { to, weights: weights.map((weight) => weight / sum) };
}

/** Invented assignments of a layer's evicted slots, some receivers wanted by many; as `top_similar` gives them. */
export function assignments(of: LosingHeads, M: number) {
  const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
  const likeness = new Float32Array(heads * stride * M).fill(-1), index = new Uint32Array(heads * stride * M).fill(9);
  for (let head = 0; head < heads; head++) {
    const width = of.receiverCount[firstHead + head]!;
    for (let row = 0; row < of.evictedCount[firstHead + head]!; row++) {
      const at = (head * stride + row) * M, first = row % 4 === 0 ? 0 : row * row * 7;
      for (let k = 0; k < M; k++) {
        index[at + k] = k < width ? (first + 3 * k) % width : NONE;
        likeness[at + k] = k < width ? 0.9 - (row * 13 % 50) / 100 - k * (row % 7) / 20 : Math.fround(-3.4e38);
      }
      // of few receivers, the steps of 3 may meet one twice
      if (new Set(index.subarray(at, at + Math.min(M, width))).size < Math.min(M, width)) {
        for (let k = 0; k < Math.min(M, width); k++) index[at + k] = (first + k) % width;
      }
    }
  }
  return { likeness, index };
}
