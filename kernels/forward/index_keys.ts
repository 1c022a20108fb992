/**
 * Index keys: what a learned indexer remembers of a chunk's rows (`core/probe/index_score.ts`), into the slots of all heads of a layer; on the CPU
 * `core/engine/indexer_facts.ts` puts it into the graph. One dispatch per layer, after `advance`; moves 4 hidden bytes per row, and as much again
 * for each of the DIM numbers out of the device's cache.
 */
import { indexKeys as reference } from "../../core/probe/index_score.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./index_keys.wgsl" with { type: "text" };

export const indexKeys = defineKernel({
  name: "index_keys",
  source,
  bindings: {
    /** Behind the layer's first norm, [rows, hidden]. */
    x: "read",
    /** [DIM, hidden] */
    matrix: "read",
    /** Bias, gain and shift, [3, DIM]. */
    affine: "read",
    /** The one behind the last live slot, [all heads]; the last `rows` are the chunk's. */
    end: "read",
    /** [all heads, stride, DIM] */
    pool: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", rows: "u32", hidden: "u32" },
  constants: ["DIM"],
  threads: 64,
  grid: ({ rows }) => [rows],
  cpu({ x, matrix, affine, end, pool }, { heads, firstHead, stride, rows, DIM }) {
    const part = (i: number) => Float32Array.from(affine.subarray(i * DIM, (i + 1) * DIM));
    const keys = reference({
      ...NO_QUERIES,
      dim: DIM,
      key: Float32Array.from(matrix),
      keyBias: part(0),
      keyNorm: { weight: part(1), bias: part(2) },
    }, Float32Array.from(x));
    for (let head = firstHead; head < firstHead + heads; head++) {
      pool.set(keys, (head * stride + end[head]! - rows) * DIM);
    }
  },
  tolerance: { absolute: 2e-4, relative: 1e-4, reason: "products over a row in single precision, at variance 1" },
  cases: () =>
    ([
      ["one row of one head", 1, [1], 0, 20, 4],
      ["ragged heads of the second layer", 33, [40, 40, 37, 50], 2, 130, 8],
      ["as many numbers as there may be", 5, [9, 5], 0, 67, 64],
      ["three numbers", 7, [7], 0, 64, 3],
    ] as const).map(([name, rows, ends, firstHead, hidden, DIM]) => {
      const stride = Math.max(...ends) + 2;
      return {
        name,
        buffers: {
          x: numbers(rows * hidden, 3),
          matrix: numbers(DIM * hidden, 4),
          affine: numbers(3 * DIM, 5),
          end: Uint32Array.from(ends),
          pool: new Float32Array(ends.length * stride * DIM).fill(7),
        },
        values: { heads: ends.length - firstHead, firstHead, stride, rows, hidden, DIM },
      };
    }),
});

const EMPTY = new Float32Array(0);
const NO_QUERIES = {
  heads: 0,
  groups: 1,
  age: null,
  query: EMPTY,
  weight: EMPTY,
  weightBias: EMPTY,
  queryNorm: { weight: EMPTY, bias: EMPTY },
};
