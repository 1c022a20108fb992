/**
 * Quota counts: how many slots of every head rank at least as high as each of 256 numbers. One step of `quotas.ts`.
 *
 * Bytes: 8 × Σ live + 1028 × heads; dispatches: one per digit, four in all.
 */
import { ODD_SCORES, ragged, scores } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./quota_counts.wgsl" with { type: "text" };

/** Numbers per head. */
export const COUNTS = 257;

export const quotaCounts = defineKernel({
  name: "quota_counts",
  source,
  bindings: {
    /** Higher means keep, [heads, stride]. */
    scores: "read",
    /** 1 for slots that must stay: they rank above all, [heads, stride]. */
    shielded: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** Bits of the rank looked for, as far as they are known, per group of `together` heads; of no account for digit 0. */
    prefix: "read",
    /** [heads, 257]. */
    atLeast: "write",
  },
  params: { heads: "u32", together: "u32", stride: "u32", digit: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ scores, shielded, start, end, prefix, atLeast }, { heads, together, stride, digit }) {
    const unit = 2 ** (24 - 8 * digit);
    for (let head = 0; head < heads; head++) {
      const known = digit === 0 ? 0 : prefix[Math.floor(head / together)]!;
      const ranks = Array.from({ length: end[head]! - start[head]! }, (_, i) => {
        const slot = head * stride + start[head]! + i;
        return shielded[slot] ? 0xffffffff : rank(scores[slot]!);
      });
      for (let bucket = 0; bucket < COUNTS; bucket++) {
        const least = (known * 256 + bucket) * unit;
        atLeast[head * COUNTS + bucket] = ranks.filter((rank) => rank >= least).length;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["one head, one slot", [[7]], 1, 0, [0]],
      ["no slot", [[], [1, 2]], 1, 0, [0, 0]],
      ["hard to order", Array.from({ length: 3 }, () => ODD_SCORES), 1, 0, [0, 0, 0]],
      ["hard to order, lowest digit", Array.from({ length: 3 }, () => ODD_SCORES), 1, 3, [0xffffff, 0, 0x800000]],
      ["two layers of two heads, second digit", [700, 701, 35, 1033].map((n) => scores(n)), 2, 1, [0xbf, 0x40]],
      ["all heads together, third digit", [700, 701, 35].map((n) => scores(n)), 3, 2, [0xbf10]],
      ["all equal", [Array(900).fill(0.25)], 1, 1, [0xbe]],
    ] as [string, number[][], number, number, number[]][]).map(([name, heads, together, digit, prefix]) => {
      const { stride, start, end, place } = ragged(heads.map((head) => head.length), together);
      return {
        name,
        buffers: {
          scores: place(heads, 1e9),
          shielded: Uint32Array.from(place(heads.map((head) => head.map((_, i) => i % 100 === 1 ? 1 : 0)), 1)),
          start,
          end,
          prefix: Uint32Array.from(prefix),
          atLeast: new Uint32Array(heads.length * COUNTS),
        },
        values: { heads: heads.length, together, stride, digit },
      };
    }),
});

const word = new DataView(new ArrayBuffer(4));

/** Integers in the order of the scores: NaN 0, equal numbers equal. */
function rank(score: number): number {
  if (Number.isNaN(score)) return 0;
  word.setFloat32(0, score === 0 ? 0 : score);
  const bits = word.getUint32(0);
  return score < 0 ? ~bits >>> 0 : (bits | 0x80000000) >>> 0;
}
