/**
 * Split slots: which slots every head loses, and which of the others may receive what those knew. The counterpart of `evictedSlots` and `receivingSlots`
 * in `core/compensate/heads.ts`, which are its reference; one launch serves all heads of all layers.
 *
 * A slot that stays receives where its mark is `receives`: with `shielded` and 0 those that are not protected, with the slots' source tokens and
 * `MEMORY_SOURCE` a head's centroids.
 *
 * Dispatches: 1. Bytes: 16 per live slot, and 4 per slot that is listed.
 */
import { evictedSlots, receivingSlots } from "../../core/compensate/heads.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import source from "./split_slots.wgsl" with { type: "text" };

export const splitSlots = defineKernel({
  name: "split_slots",
  source,
  bindings: {
    /** 1 for slots that stay, [heads, stride]. */
    stays: "read",
    /** [heads, stride]. */
    mark: "read",
    /** First live slot, and the first behind the last, [heads]. */
    start: "read",
    end: "read",
    /** Ascending slots that do not stay, [heads, stride]; unchanged behind `evictedCount` [heads]. */
    evicted: "write",
    evictedCount: "write",
    /** Ascending slots that receive, [heads, stride]; unchanged behind `receiverCount` [heads]. */
    receivers: "write",
    receiverCount: "write",
  },
  params: { heads: "u32", stride: "u32", receives: "u32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu(of, { heads, stride, receives }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride, start = of.start[head]!, live = of.end[head]! - start, first = from + start;
      const keep = Int32Array.from({ length: live }, (_, i) => i).filter((i) => of.stays[first + i]);
      const shielded = Uint8Array.from({ length: live }, (_, i) => of.mark[first + i] === receives ? 0 : 1);
      const evicted = evictedSlots(live, keep), receivers = receivingSlots(keep, shielded);
      of.evicted.set(evicted.map((slot) => slot + start), from);
      of.receivers.set(receivers.map((slot) => slot + start), from);
      of.evictedCount[head] = evicted.length;
      of.receiverCount[head] = receivers.length;
    }
  },
  tolerance: EXACT,
  cases: () =>
    losingHeads().flatMap(({ name, allHeads, stride, start, end, stays, shielded, evicted, receivers }) =>
      [0, 0xffffffff].map((receives) => ({
        name: `${name}, marked ${receives}`,
        buffers: {
          stays,
          mark: receives ? shielded.map((slot, i) => slot || i % 5 ? 7 : receives) : shielded,
          start,
          end,
          evicted: evicted.slice().fill(3),
          evictedCount: new Uint32Array(allHeads),
          receivers: receivers.slice().fill(4),
          receiverCount: new Uint32Array(allHeads),
        },
        values: { heads: allHeads, stride, receives },
      }))
    ),
});
