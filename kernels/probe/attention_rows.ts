/** Rows that ask a layer's cache: what the two kernels of the attention mass share on the CPU, and their cases. */
import { HIDDEN } from "../../core/gpu_cache.ts";
import { numbers } from "../cases/cases.ts";
import type { Numbers } from "../gpu.ts";

/** The parameters of both kernels that say who asks what. */
export interface Asking {
  kvHeads: number;
  firstHead: number;
  stride: number;
  rows: number;
  firstRow: number;
  behind: number;
  splits: number;
  scale: number;
  WIDTH: number;
  HEAD_DIM: number;
  GROUP: number;
}

/** Words that `softmax_rows` writes for a row: two for each stretch of the slots, and the outermost logits. */
export const wordsOf = (splits: number): number => 2 * splits + 4;

/** The slot before which the sight of row `i` (query row and head of the group) ends. */
export function sight(i: number, first: number, all: number, { rows, GROUP }: Asking): number {
  return Math.max(first, all - rows + Math.floor(i / GROUP) + 1);
}

/** Logits of row `i` of a KV head for the slots from..until. */
export function logits(
  queries: Numbers,
  keys: Numbers,
  { kvHeads, stride, firstRow, scale, WIDTH, HEAD_DIM, GROUP }: Asking,
  kvHead: number,
  i: number,
  from: number,
  until: number,
): Float64Array {
  const out = new Float64Array(Math.max(0, until - from));
  const query = ((firstRow + Math.floor(i / GROUP)) * kvHeads * GROUP + kvHead * GROUP + i % GROUP) * WIDTH;
  for (let n = 0; n < out.length; n++) {
    const key = (kvHead * stride + from + n) * WIDTH;
    let dot = 0;
    for (let d = 0; d < HEAD_DIM; d++) dot += queries[query + d]! * keys[key + d]!;
    out[n] = scale * dot + (WIDTH > HEAD_DIM ? keys[key + HEAD_DIM]! + keys[key + HEAD_DIM + 1]! : 0);
  }
  return out;
}

/** Few shapes, as compiling a pipeline takes a software GPU a second. */
const SHAPES = {
  small: { GROUP: 1, headDim: 8, wide: false, ROW_LANES: 16 },
  odd: { GROUP: 3, headDim: 20, wide: false, ROW_LANES: 16 },
  few: { GROUP: 3, headDim: 20, wide: false, ROW_LANES: 4 },
  /** Columns beyond the head's own, the first with the slots' biases. */
  biased: { GROUP: 2, headDim: 16, wide: true, ROW_LANES: 4 },
};

interface Heads {
  name: string;
  shape: keyof typeof SHAPES;
  /** Where the live slots of the layer's heads start and end. */
  live: [start: number, end: number][];
  rows: number;
  behind?: number;
  firstRow?: number;
  firstHead?: number;
  splits?: number;
  equal?: boolean;
}

const HEADS: Heads[] = [
  { name: "one slot that asks itself", shape: "small", live: [[0, 1]], rows: 1 },
  { name: "two slots", shape: "small", live: [[0, 2], [5, 7]], rows: 2 },
  { name: "a chunk that is all there is", shape: "small", live: [[0, 131], [9, 140]], rows: 131, splits: 5 },
  { name: "all equal", shape: "small", live: [[0, 97]], rows: 30, equal: true, splits: 4 },
  { name: "no slot", shape: "few", live: [[0, 0], [3, 3], [0, 5]], rows: 1 },
  { name: "nothing but the question's own rows", shape: "few", live: [[0, 0], [2, 2]], rows: 3, behind: 3 },
  { name: "one row over many slots", shape: "few", live: [[0, 1500], [11, 1029]], rows: 1, splits: 3 },
  { name: "the newest row of some not appended", shape: "few", live: [[0, 61]], rows: 1, behind: 6 },
  { name: "more stretches than slots", shape: "few", live: [[0, 3], [0, 1]], rows: 1, splits: 8 },
  { name: "ragged, second layer", shape: "odd", live: [[0, 301], [17, 90], [4, 9]], rows: 5, firstHead: 3 },
  { name: "a window of a long chunk", shape: "odd", live: [[0, 333]], rows: 64, firstRow: 40, splits: 2 },
  { name: "a question that is not appended", shape: "odd", live: [[0, 260], [31, 77]], rows: 21, behind: 21 },
  { name: "biased and hidden slots", shape: "biased", live: [[0, 210], [3, 99]], rows: 9, splits: 2 },
];

/** What a layer's cache and its askers look like. Full capacity: the longest head and the rows behind it end with the stride. */
export function askings() {
  return HEADS.map(({ name, shape, live, rows, ...given }) => {
    const { behind = 0, firstRow = 0, firstHead = 0, splits = 1, equal = false } = given;
    const { GROUP, headDim, wide, ROW_LANES } = SHAPES[shape];
    const kvHeads = live.length, WIDTH = headDim + (wide ? 8 : 0);
    const stride = Math.max(...live.map(([, end]) => end)) + behind;
    const queries = numbers((firstRow + rows) * kvHeads * GROUP * WIDTH, 11);
    const keys = numbers(kvHeads * stride * WIDTH, 12);
    if (equal) keys.fill(0.5);
    if (wide) widen(queries, keys, headDim, WIDTH);
    // what is not live must not be looked at
    live.forEach(([start, end], h) => {
      keys.fill(1e30, h * stride * WIDTH, (h * stride + start) * WIDTH);
      keys.fill(1e30, (h * stride + end + behind) * WIDTH, (h + 1) * stride * WIDTH);
    });
    const bounds = (side: 0 | 1) => {
      const all = new Uint32Array(firstHead + kvHeads).fill(77);
      live.forEach((head, h) => all[firstHead + h] = head[side]);
      return all;
    };
    const asking: Asking = {
      kvHeads,
      firstHead,
      stride,
      rows,
      firstRow,
      behind,
      splits,
      scale: Math.fround(1 / Math.sqrt(headDim)),
      WIDTH,
      HEAD_DIM: headDim,
      GROUP,
    };
    return { name, shape, asking, ROW_LANES, buffers: { queries, keys, start: bounds(0), end: bounds(1) } };
  });
}

/** As `core/gpu_cache.ts`: keys carry their bias, and queries something that must not matter; every seventh slot is hidden. */
function widen(queries: Float32Array, keys: Float32Array, headDim: number, width: number): void {
  for (let at = 0; at < queries.length; at += width) {
    queries.fill(0, at + headDim, at + width);
    queries[at + headDim] = at % 3;
  }
  for (let at = 0, slot = 0; at < keys.length; at += width, slot++) {
    keys.fill(0, at + headDim, at + width);
    keys[at + headDim] = slot % 5 / 2;
    keys[at + headDim + 1] = slot % 7 === 5 ? HIDDEN.f16 : 0;
  }
}
