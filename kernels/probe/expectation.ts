/**
 * Expectation: mean and covariance of the queries that are to come, as `expectation` of `core/probe/expected.ts` makes them of the query moments. One
 * dispatch per layer; moves 8 heads headDim (headDim + 1) bytes.
 */
import { expectation as reference, meanRotation } from "../../core/probe/expected.ts";
import { Rope } from "../../core/rope.ts";
import { numbers } from "../cases/cases.ts";
import source from "./expectation.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { queryMoments } from "../forward/query_moments.ts";

/** The mean rotation over `count` positions from `first` on, as the kernel reads it: (cos, sin) of each pair, [headDim / 2, 2]. */
export function meanTurn(rope: Rope, first: number, count: number): Float32Array<ArrayBuffer> {
  const { cos, sin } = meanRotation(rope, first, count);
  return Float32Array.from({ length: 2 * cos.length }, (_, i) => (i % 2 ? sin : cos)[i >> 1]!);
}

export const expectation = defineKernel({
  name: "expectation",
  source,
  bindings: {
    /** [heads, HEAD_DIM]. */
    sum: "read",
    /** [heads, HEAD_DIM, HEAD_DIM]. */
    outer: "read",
    /** `meanTurn`. */
    turn: "read",
    /** μ/√d, [heads, HEAD_DIM]. */
    mean: "write",
    /** Σ/2d, [heads, HEAD_DIM, HEAD_DIM]. */
    form: "write",
  },
  /** `heads` are query heads, `rows` those that were summed up. */
  params: { heads: "u32", rows: "u32" },
  constants: ["HEAD_DIM"],
  threads: 256,
  grid: ({ heads, HEAD_DIM }, threads) => [Math.ceil((HEAD_DIM / 2) ** 2 / threads), heads],
  cpu({ sum, outer, turn, mean, form }, { heads, rows, HEAD_DIM }) {
    const half = HEAD_DIM / 2;
    const rotation = {
      cos: Float64Array.from({ length: half }, (_, i) => turn[2 * i]!),
      sin: Float64Array.from({ length: half }, (_, i) => turn[2 * i + 1]!),
    };
    const moments = { rows, sum: Float32Array.from(sum), outer: Float32Array.from(outer) };
    for (let head = 0; head < heads; head++) {
      reference(moments, head, rotation, mean as Float32Array, form as Float32Array, head);
    }
  },
  tolerance: {
    absolute: 4e-6,
    relative: 0,
    reason: "a covariance is the difference of numbers of at most 4, in single precision",
  },
  cases: () =>
    ([[1, 4, 1, 0], [3, 36, 77, 9], [2, 128, 31, 7000]] as const).map(([heads, HEAD_DIM, rows, first]) => {
      const sum = new Float32Array(heads * HEAD_DIM), outer = new Float32Array(heads * HEAD_DIM ** 2);
      queryMoments.cpu(
        { queries: numbers(rows * heads * HEAD_DIM, 5).map((x, i) => x + i % 3), sum, outer },
        { heads, first: 0, behind: rows, rowStep: heads * HEAD_DIM, WIDTH: HEAD_DIM, HEAD_DIM },
      );
      return {
        name: `${heads} heads of ${HEAD_DIM}, ${rows} rows, from position ${first} on`,
        buffers: {
          sum,
          outer,
          turn: meanTurn(new Rope({ headDim: HEAD_DIM, ropeTheta: 10000, ropeScaling: null }), first, 512),
          mean: new Float32Array(heads * HEAD_DIM),
          form: new Float32Array(heads * HEAD_DIM ** 2),
        },
        values: { heads, rows, HEAD_DIM },
      };
    }),
});
