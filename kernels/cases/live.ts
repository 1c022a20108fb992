/** Live slots of heads: cases that a kernel on the cache can meet, and a head's rows as `core/` has them. */
import { numbers } from "./cases.ts";
import type { Numbers } from "../gpu.ts";

/** Heads of one layer among those of all layers, and which of their slots are live. */
export interface Live {
  name: string;
  /** Slots of every head. */
  stride: number;
  /** Heads of all layers. */
  allHeads: number;
  /** The layer's heads. */
  firstHead: number;
  heads: number;
  /** First live slot, and the first behind the last one, [all heads]. */
  start: Uint32Array<ArrayBuffer>;
  end: Uint32Array<ArrayBuffer>;
}

export function lives(): Live[] {
  const of = (name: string, stride: number, runs: [number, number][], firstHead = 0): Live => ({
    name,
    stride,
    allHeads: runs.length,
    firstHead,
    heads: runs.length - firstHead,
    start: Uint32Array.from(runs, ([start]) => start),
    end: Uint32Array.from(runs, ([, end]) => end),
  });
  return [
    of("one slot", 1, [[0, 1]]),
    of("no slot", 5, [[0, 0], [3, 3]]),
    of("full", 37, [[0, 37], [0, 37]]),
    of("behind a gap", 150, [[7, 150], [149, 150], [150, 150]]),
    of("ragged, second layer", 301, [[0, 9], [5, 8], [0, 301], [17, 18], [100, 299]], 2),
  ];
}

/** One number per live slot of all heads, [all heads, stride]; `dead` elsewhere. */
export function slotNumbers(
  { stride, allHeads, start, end }: Live,
  seed: number,
  dead = NaN,
): Float32Array<ArrayBuffer> {
  const values = numbers(allHeads * stride, seed);
  return values.map((value, i) => isLive(i, stride, start, end) ? value : dead);
}

/** Tokens of the live slots, ascending with gaps; what is not live has tokens too. */
export function slotTokens({ stride, allHeads, start }: Live, step = 3): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: allHeads * stride }, (_, i) => {
    const head = Math.floor(i / stride), slot = i % stride - start[head]!;
    return slot < 3 ? slot : 3 + (slot - 3) * step + head % 2;
  });
}

/** Rows of the layer, [heads, stride, WIDTH]: NaN where nothing is live, and in the columns behind `HEAD_DIM`. */
export function slotRows(live: Live, WIDTH: number, HEAD_DIM: number, seed: number): Float32Array<ArrayBuffer> {
  const { stride, firstHead, heads, start, end } = live;
  return numbers(heads * stride * WIDTH, seed).map((value, i) => {
    const slot = firstHead * stride + Math.floor(i / WIDTH);
    return i % WIDTH < HEAD_DIM && isLive(slot, stride, start, end) ? value : NaN;
  });
}

/** A head's rows from slot `from` to `to`, without extra columns: [slots, HEAD_DIM]. @param head of the layer */
export function rowsOf(
  pool: Numbers,
  { stride, WIDTH, HEAD_DIM }: { stride: number; WIDTH: number; HEAD_DIM: number },
  head: number,
  from: number,
  to: number,
): Float32Array {
  const rows = new Float32Array((to - from) * HEAD_DIM);
  for (let slot = from; slot < to; slot++) {
    const at = (head * stride + slot) * WIDTH;
    rows.set(pool.subarray(at, at + HEAD_DIM), (slot - from) * HEAD_DIM);
  }
  return rows;
}

/** Widths of rows that the cases go through: of a plain cache and of one whose keys carry a bias. */
export const WIDTHS = [{ WIDTH: 4, HEAD_DIM: 4 }, { WIDTH: 44, HEAD_DIM: 36 }, { WIDTH: 136, HEAD_DIM: 128 }];

function isLive(i: number, stride: number, start: Uint32Array, end: Uint32Array): boolean {
  const head = Math.floor(i / stride), slot = i % stride;
  return slot >= start[head]! && slot < end[head]!;
}
