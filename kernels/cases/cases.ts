/** Inputs of kernel cases, by formula: what a failing case was fed can be written down. */

/** `count` numbers in -2…2, all exact in half precision, no period that a kernel could hide behind. */
export function numbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (Math.imul(i + 1, 2654435761 + 2 * seed) >>> 24) / 64 - 2;
  return values;
}

/** `count` numbers in -1…1 without any order in them: sums of their products lie apart. */
export function scattered(count: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => {
    let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >> 8) / 2 ** 23;
  });
}

/** What heads keep of their slots. */
export interface Keeps {
  name: string;
  /** Slots of every head. */
  stride: number;
  /** Heads of all layers. */
  lists: number;
  /** KV heads of a layer: they end at one slot. */
  kvHeads: number;
  /** The layer's first head: heads before it are another layer's. */
  firstHead: number;
  kept: Uint32Array<ArrayBuffer>;
  count: Uint32Array<ArrayBuffer>;
}

/** Kept slots that a compaction can meet. */
export function keeps(): Keeps[] {
  const every = (n: number, from = 0, step = 1) => Array.from({ length: n }, (_, i) => from + i * step);
  return [
    { name: "one slot of one", stride: 1, firstHead: 0, kvHeads: 1, heads: [[0]] },
    { name: "one slot, the last", stride: 700, firstHead: 0, kvHeads: 1, heads: [[699]] },
    { name: "nothing", stride: 10, firstHead: 0, kvHeads: 2, heads: [[], []] },
    { name: "everything", stride: 333, firstHead: 0, kvHeads: 2, heads: [every(333), every(333)] },
    { name: "all but the first", stride: 1025, firstHead: 0, kvHeads: 2, heads: [every(1024, 1), every(1024, 1)] },
    { name: "every second", stride: 1001, firstHead: 0, kvHeads: 2, heads: [every(500, 1, 2), every(501, 0, 2)] },
    {
      name: "all to the right, beside a head that keeps everything",
      stride: 1400,
      firstHead: 0,
      kvHeads: 2,
      heads: [every(1000), every(1400)],
    },
    {
      name: "first to the right, then to the left",
      stride: 1300,
      firstHead: 0,
      kvHeads: 2,
      heads: [[...every(700, 1), ...every(4, 1290)], every(1000, 250)],
    },
    {
      name: "ragged, second layer",
      stride: 517,
      firstHead: 3,
      kvHeads: 3,
      heads: [every(9), every(517), [], [0, 1, 2, 3, ...every(200, 300)], [5], every(100, 7, 5)],
    },
  ].map(({ name, stride, firstHead, kvHeads, heads }) => {
    const kept = new Uint32Array(heads.length * stride);
    heads.forEach((slots, head) => kept.set(slots, head * stride));
    const count = Uint32Array.from(heads, (slots) => slots.length);
    return { name, stride, lists: heads.length, kvHeads, firstHead, kept, count };
  });
}

/** Where a head's kept rows begin once they are right-aligned to the longest head of its layer. */
export function newStart(count: ArrayLike<number>, head: number, kvHeads: number): number {
  const layer = head - head % kvHeads;
  let end = 0;
  for (let other = layer; other < layer + kvHeads; other++) end = Math.max(end, count[other]!);
  return end - count[head]!;
}

/** Scores of all orders of magnitude. */
export function scores(n: number, seed = 5): number[] {
  return Array.from(numbers(n, seed), (x, i) => x * 3 ** (i % 30 - 15));
}

/** Scores that are hard to order: zeros of both signs, infinities, NaN, the smallest and the largest. */
export const ODD_SCORES = [-0, 0, Infinity, -Infinity, NaN, 1e-45, -1e-45, 3.4e38, -3.4e38, 1, -1, 1];

/** Heads whose live slots are ragged runs inside their capacity. */
export interface Ragged {
  stride: number;
  start: Uint32Array<ArrayBuffer>;
  end: Uint32Array<ArrayBuffer>;
  /** Values of live slots at their places, `outside` elsewhere: [heads, stride]. */
  place(values: ArrayLike<number>[], outside: number): Float32Array<ArrayBuffer>;
}

/**
 * @param lengths live slots per head
 * @param kvHeads heads of a layer end at the same slot, with `free` slots after it
 */
export function ragged(lengths: number[], kvHeads = 1, free = 3): Ragged {
  const ends = lengths.map((_, head) => {
    const layer = head - head % kvHeads;
    return Math.max(...lengths.slice(layer, layer + kvHeads)) + (layer / kvHeads % 2 ? 2 : 0);
  });
  const stride = Math.max(1, ...ends) + free;
  const start = Uint32Array.from(lengths, (length, head) => ends[head]! - length);
  return {
    stride,
    start,
    end: Uint32Array.from(ends),
    place(values, outside) {
      const all = new Float32Array(lengths.length * stride).fill(outside);
      values.forEach((row, head) => all.set(row, head * stride + start[head]!));
      return all;
    },
  };
}
