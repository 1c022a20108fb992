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
  /** The layer's first head: heads before it are another layer's. */
  firstHead: number;
  kept: Uint32Array<ArrayBuffer>;
  count: Uint32Array<ArrayBuffer>;
}

/** Kept slots that a compaction can meet. */
export function keeps(): Keeps[] {
  const every = (n: number, from = 0, step = 1) => Array.from({ length: n }, (_, i) => from + i * step);
  return [
    { name: "one slot of one", stride: 1, firstHead: 0, heads: [[0]] },
    { name: "one slot, the last", stride: 700, firstHead: 0, heads: [[699]] },
    { name: "nothing", stride: 10, firstHead: 0, heads: [[], []] },
    { name: "everything", stride: 333, firstHead: 0, heads: [every(333), every(333)] },
    { name: "all but the first", stride: 1025, firstHead: 0, heads: [every(1024, 1), every(1024, 1)] },
    { name: "every second", stride: 1001, firstHead: 0, heads: [every(500, 1, 2), every(501, 0, 2)] },
    {
      name: "ragged, second layer",
      stride: 517,
      firstHead: 2,
      heads: [every(9), every(3), [0, 1, 2, 3, ...every(200, 300)], [5], every(100, 7, 5)],
    },
  ].map(({ name, stride, firstHead, heads }) => {
    const kept = new Uint32Array(heads.length * stride);
    heads.forEach((slots, head) => kept.set(slots, head * stride));
    const count = Uint32Array.from(heads, (slots) => slots.length);
    return { name, stride, lists: heads.length, firstHead, kept, count };
  });
}
