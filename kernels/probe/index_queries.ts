/**
 * Index queries: what the last rows of a chunk ask a learned indexer (`core/probe/index_score.ts`), and what each counts in the mean. One dispatch per layer;
 * moves asking × n × 4 (heads HEAD_DIM + hidden) bytes of rows, and n DIM heads HEAD_DIM of weights for each row out of the device's cache.
 */
import { indexQueries as referenceQueries, indexWeights } from "../../core/probe/index_score.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./index_queries.wgsl" with { type: "text" };

export const indexQueries = defineKernel({
  name: "index_queries",
  source,
  bindings: {
    /** Queries before rotation: row s begins at number s * rowStep, head h of it at h * WIDTH. */
    raw: "read",
    /** Behind the layer's first norm, [rows, hidden]. */
    x: "read",
    /** [n, DIM, heads * HEAD_DIM] */
    matrix: "read",
    /** Gain and shift, [2, DIM]. */
    affine: "read",
    /** [groups, n, hidden + 1], the bias last. */
    weight: "read",
    /** [asking, n, DIM] */
    queries: "write",
    /** [groups, asking, n] */
    counts: "write",
  },
  /** `heads` are query heads; every `every`-th row from `first` on asks; weights are multiplied by `scale`. */
  params: {
    asking: "u32",
    first: "u32",
    every: "u32",
    rowStep: "u32",
    heads: "u32",
    hidden: "u32",
    n: "u32",
    groups: "u32",
    scale: "f32",
  },
  constants: ["WIDTH", "HEAD_DIM", "DIM"],
  threads: 64,
  grid: ({ asking, n }) => [asking, n],
  cpu(of, { asking, first, every, rowStep, heads, hidden, n, groups, scale, WIDTH, HEAD_DIM, DIM }) {
    const plain = (data: ArrayLike<number>, from: number, count: number) =>
      Float32Array.from({ length: count }, (_, i) => data[from + i]!);
    const weights = {
      heads: n,
      groups,
      age: null,
      dim: DIM,
      query: plain(of.matrix, 0, of.matrix.length),
      key: new Float32Array(0),
      keyBias: new Float32Array(0),
      weight: Float32Array.from({ length: groups * n * hidden }, (_, i) => of.weight[i + Math.floor(i / hidden)]!),
      weightBias: Float32Array.from({ length: groups * n }, (_, j) => of.weight[(j + 1) * (hidden + 1) - 1]!),
      queryNorm: { weight: plain(of.affine, 0, DIM), bias: plain(of.affine, DIM, DIM) },
      keyNorm: { weight: new Float32Array(0), bias: new Float32Array(0) },
    };
    const rows = Float32Array.from({ length: asking * heads * HEAD_DIM }, (_, i) => {
      const row = first + every * Math.floor(i / (heads * HEAD_DIM)), column = i % (heads * HEAD_DIM);
      return of.raw[row * rowStep + Math.floor(column / HEAD_DIM) * WIDTH + column % HEAD_DIM]!;
    });
    of.queries.set(referenceQueries(weights, rows));
    const x = Float32Array.from(
      { length: asking * hidden },
      (_, i) => of.x[(first + every * Math.floor(i / hidden)) * hidden + i % hidden]!,
    );
    const own = indexWeights(weights, x), whole = Math.sqrt(n * DIM) * scale;
    own.forEach((weight, i) => {
      const row = Math.floor(i / (groups * n)), group = Math.floor(i / n) % groups;
      of.counts[(group * asking + row) * n + i % n] = weight * whole;
    });
  },
  tolerance: { absolute: 2e-4, relative: 1e-4, reason: "products over a row in single precision, at variance 1" },
  cases: () =>
    ([
      ["one row, one head", 1, 0, 1, 1, 20, 20, 24, 1, 4, 1],
      ["a wide head's own columns", 9, 4, 1, 3, 44, 36, 70, 2, 8, 1],
      ["many numbers and heads", 3, 0, 1, 5, 64, 64, 130, 5, 64, 3],
      ["every third row", 4, 2, 3, 2, 20, 20, 24, 2, 4, 1],
    ] as const).map(([name, asking, first, every, heads, WIDTH, HEAD_DIM, hidden, n, DIM, groups]) => {
      const rowStep = heads * WIDTH + 3, rows = first + (asking - 1) * every + 1, raw = numbers(rows * rowStep, 3);
      const asks = (row: number) => row >= first && (row - first) % every === 0;
      raw.forEach((_, i) => {
        const column = i % rowStep;
        const isOwn = asks(Math.floor(i / rowStep)) && column < heads * WIDTH && column % WIDTH < HEAD_DIM;
        if (!isOwn) raw[i] = NaN;
      });
      return {
        name,
        buffers: {
          raw,
          x: numbers(rows * hidden, 4).map((x, i) => asks(Math.floor(i / hidden)) ? x : NaN),
          matrix: numbers(n * DIM * heads * HEAD_DIM, 5),
          affine: numbers(2 * DIM, 6),
          weight: numbers(groups * n * (hidden + 1), 7),
          queries: new Float32Array(asking * n * DIM).fill(7),
          counts: new Float32Array(groups * asking * n).fill(7),
        },
        values: {
          asking,
          first,
          every,
          rowStep,
          heads,
          hidden,
          n,
          groups,
          scale: 1 / (asking * 3),
          WIDTH,
          HEAD_DIM,
          DIM,
        },
      };
    }),
});
