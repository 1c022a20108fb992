/**
 * Quota choice: the next 8 bits of the rank that a group's lowest slot to stay has, and at the last of them the heads' quotas. One step of `quotas.ts`.
 *
 * Bytes: 1028 × heads, and the few numbers of every head again for each bucket, from the cache; dispatches: one per digit, four in all.
 */
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./quota_choose.wgsl" with { type: "text" };
import { COUNTS } from "./quota_counts.ts";

export const quotaChoose = defineKernel({
  name: "quota_choose",
  source,
  bindings: {
    /** Slots that rank at least as high, [heads, 257]. */
    atLeast: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** Live slots that must stay, [heads]. */
    guarded: "read",
    /** Bits of the rank as far as they are known, per group of `together` heads. */
    prefix: "write",
    /** Slots to keep, [heads]; written after digit 3. */
    quota: "write",
  },
  /** Slots per head on the mean; most of one head; least of one head, fewer where it has fewer. */
  params: { heads: "u32", together: "u32", budget: "u32", mostSlots: "u32", least: "u32", digit: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads, together }) => [heads / together],
  cpu(
    { atLeast, start, end, guarded, prefix, quota },
    { heads, together, budget, mostSlots, least, digit },
  ) {
    const most = (head: number) => Math.min(end[head]! - start[head]!, mostSlots);
    const sure = (head: number) => Math.min(most(head), Math.max(guarded[head]!, least));
    const staying = (head: number, bucket: number) =>
      Math.max(sure(head), Math.min(most(head), atLeast[head * COUNTS + bucket]!));
    for (let group = 0; group < heads / together; group++) {
      const members = Array.from({ length: together }, (_, i) => group * together + i);
      const sum = (of: (head: number) => number) => members.reduce((all, head) => all + of(head), 0);
      const room = Math.max(sum(sure), budget * together);
      let chosen = 255;
      while (chosen > 0 && sum((head) => staying(head, chosen)) < room) chosen--;
      prefix[group] = (digit === 0 ? 0 : prefix[group]! * 256) + chosen;
      if (digit < 3) continue;
      let open = room - sum((head) => staying(head, chosen + 1));
      for (const head of members) {
        const above = staying(head, chosen + 1), here = Math.min(open, staying(head, chosen) - above);
        quota[head] = above + here;
        open -= here;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    [
      { heads: 1, together: 1, budget: 40, mostSlots: 1e6, least: 0 },
      { heads: 12, together: 3, budget: 200, mostSlots: 1e6, least: 20 },
      { heads: 12, together: 12, budget: 200, mostSlots: 250, least: 40 },
      { heads: 12, together: 12, budget: 5, mostSlots: 1e6, least: 0 },
      { heads: 12, together: 4, budget: 5000, mostSlots: 1e6, least: 1 },
      { heads: 600, together: 600, budget: 201, mostSlots: 400, least: 9 },
    ].flatMap((values) =>
      [0, 1, 3].map((digit) => {
        const { heads, together } = values, lives = Array.from({ length: heads }, (_, i) => 300 + i * 53 % 400);
        return {
          name: `${heads} heads, ${together} together, digit ${digit}, budget ${values.budget}`,
          buffers: {
            atLeast: Uint32Array.from({ length: heads * COUNTS }, (_, i) => {
              const live = lives[Math.floor(i / COUNTS)]!;
              return Math.floor(live * Math.min(1, (256 - i % COUNTS) / (100 + i % 7)) * (digit === 0 ? 1 : 0.9));
            }).map(descending),
            start: Uint32Array.from(lives, (_, head) => head % 5),
            end: Uint32Array.from(lives, (live, head) => live + head % 5),
            guarded: Uint32Array.from(lives, (_, head) => 10 + head % 30),
            prefix: new Uint32Array(heads / together).fill(digit === 3 ? 0xbeef01 : 0xbe),
            quota: new Uint32Array(heads),
          },
          values: { ...values, digit },
        };
      })
    ),
});

/** Counts of a head fall from column to column. */
function descending(count: number, at: number, all: Uint32Array): number {
  let most = count;
  for (let i = at; i < at - at % COUNTS + COUNTS; i++) most = Math.max(most, all[i]!);
  return most;
}
