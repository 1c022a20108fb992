/** Heads that lose slots, for the cases of compensating kernels: by formula, and ragged. */
import { evictedSlots, receivingSlots } from "../../core/compensate/heads.ts";
import { numbers } from "./cases.ts";

type Ints = Uint32Array<ArrayBuffer>;

/** Heads of all layers; those before `firstHead` belong to another layer. Lists are [all heads, stride] and full of 7 behind their counts. */
export interface LosingHeads {
  name: string;
  allHeads: number;
  firstHead: number;
  stride: number;
  start: Ints;
  end: Ints;
  /** 1 for slots that stay; 9 for slots that are not live, which must not matter. */
  stays: Ints;
  /** 1 for protected slots. */
  shielded: Ints;
  evicted: Ints;
  evictedCount: Ints;
  receivers: Ints;
  receiverCount: Ints;
  /** [all heads, stride], above 0. */
  mass: Float32Array<ArrayBuffer>;
}

/** A head: its first live slot, how many are live, which stay, and how many at both ends are protected. */
type Head = [start: number, live: number, stays: (slot: number) => boolean, ends: number];

const third = (slot: number) => slot % 3 === 1, few = (slot: number) => slot % 11 === 4, all = () => true;
const SITUATIONS: [name: string, firstHead: number, spare: number, heads: Head[]][] = [
  ["one slot, evicted", 0, 0, [[0, 1, () => false, 0]]],
  ["one slot, kept", 0, 0, [[0, 1, all, 0]]],
  ["no slot", 0, 5, [[0, 0, all, 0], [3, 0, all, 0]]],
  ["nothing goes", 0, 3, [[0, 40, all, 4]]],
  ["nobody receives", 0, 2, [[2, 40, () => false, 0], [0, 37, third, 37]]],
  ["fewer receivers than are looked for", 0, 1, [[0, 50, (slot) => slot === 20 || slot === 31, 0], [1, 9, few, 1]]],
  ["ragged, the second layer", 2, 6, [
    [0, 30, third, 4],
    [5, 64, few, 4],
    [7, 333, third, 9],
    [0, 17, all, 2],
    [11, 257, few, 4],
    [1, 0, all, 0],
  ]],
  ["full capacity", 1, 0, [[0, 12, third, 1], [0, 400, (slot) => slot % 2 === 0, 36], [0, 400, third, 4]]],
];

export function losingHeads(): LosingHeads[] {
  return SITUATIONS.map(([name, firstHead, spare, heads]) => {
    const allHeads = heads.length, stride = Math.max(...heads.map(([start, live]) => start + live)) + spare;
    const list = (value: number) => new Uint32Array(allHeads * stride).fill(value);
    const of: LosingHeads = {
      name,
      allHeads,
      firstHead,
      stride,
      start: Uint32Array.from(heads, ([start]) => start),
      end: Uint32Array.from(heads, ([start, live]) => start + live),
      stays: list(9),
      shielded: list(0),
      evicted: list(7),
      evictedCount: new Uint32Array(allHeads),
      receivers: list(7),
      receiverCount: new Uint32Array(allHeads),
      mass: numbers(allHeads * stride, 11).map((x) => (x + 2.125) / 8),
    };
    heads.forEach(([start, live, stays, ends], head) => {
      for (let slot = 0; slot < live; slot++) {
        const at = head * stride + start + slot, isEnd = slot < ends || slot >= live - ends;
        of.stays[at] = isEnd || stays(slot) ? 1 : 0;
        of.shielded[at] = isEnd ? 1 : 0;
      }
      split(of, head);
    });
    return of;
  });
}

/** Fills in a head's lists. */
function split(of: LosingHeads, head: number): void {
  const from = head * of.stride, start = of.start[head]!, live = of.end[head]! - start;
  const keep = Int32Array.from({ length: live }, (_, i) => i).filter((i) => of.stays[from + start + i]);
  const shielded = Uint8Array.from(of.shielded.subarray(from + start, from + start + live));
  const evicted = evictedSlots(live, keep), receivers = receivingSlots(keep, shielded);
  of.evicted.set(evicted.map((slot) => slot + start), from);
  of.receivers.set(receivers.map((slot) => slot + start), from);
  of.evictedCount[head] = evicted.length;
  of.receiverCount[head] = receivers.length;
}
