/**
 * CaM parts: which evicted values are merged into the kept slots that come next, and in what part. The counterpart of the draws in
 * `core/compensate/cam.ts`.
 *
 * Dispatches: 1 per layer. Bytes: rows × (16 + 8 m), mostly from caches.
 */
import { uniform } from "../../core/compensate/cam.ts";
import source from "./cam_parts.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { type LosingHeads, losingHeads } from "../cases/losing_heads.ts";

export const camParts = defineKernel({
  name: "cam_parts",
  source,
  bindings: {
    /** Attention mass of slots [all heads, stride]. */
    mass: "read",
    /** Their source tokens [all heads, stride]. */
    tokens: "read",
    /** First live slot [all heads]. */
    start: "read",
    /** Evicted slots, ascending, [all heads, stride]; how many [all heads]. */
    rows: "read",
    rowCount: "read",
    /** All others, protected ones too, ascending, [all heads, stride]; how many [all heads]. */
    receivers: "read",
    receiverCount: "read",
    /** 1 / (kept slots that share it), or 0, [heads, stride]. */
    parts: "write",
  },
  params: { heads: "u32", firstHead: "u32", stride: "u32", m: "u32" },
  constants: [],
  threads: 64,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ mass, tokens, rows, rowCount, receivers, receiverCount, parts }, { heads, firstHead, stride, m }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h, lists = head * stride, kept = receivers.subarray(lists, lists + receiverCount[head]!);
      let next = 0;
      for (let i = 0; i < rowCount[head]!; i++) {
        const slot = rows[lists + i]!;
        while (next < kept.length && kept[next]! < slot) next++;
        const end = Math.min(kept.length, next + m), sharing = end - next;
        let sum = 0;
        for (let k = next; k < end; k++) sum += mass[lists + kept[k]!]!;
        const chance = Math.min(1, mass[lists + slot]! / (sum / sharing));
        parts[h * stride + i] = sharing && uniform(head, tokens[lists + slot]!) < chance ? 1 / sharing : 0;
      }
    }
  },
  tolerance: {
    absolute: 0,
    relative: 1e-6,
    reason: "a quotient in single precision; no draw is that close to its chance",
  },
  cases: () =>
    losingHeads().flatMap((of) =>
      [1, 3, 32].flatMap((m) =>
        ["", ", no mass", ", mass of what goes only"].map((name, kind) => {
          const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead;
          return {
            name: `${of.name}, ${m} share${name}`,
            buffers: {
              ...keptLists(of),
              mass: of.mass.map((x, i) => kind === 1 || (kind === 2 && of.stays[i]) ? 0 : x),
              tokens: Uint32Array.from(of.mass, (_, i) => 5 * i),
              start: of.start,
              parts: new Float32Array(heads * stride).fill(3),
            },
            values: { heads, firstHead, stride, m },
          };
        })
      )
    ),
});

/** Evicted slots and all others, protected ones too. */
export function keptLists(of: LosingHeads) {
  const { allHeads, stride, start, end, stays } = of;
  const receivers = new Uint32Array(allHeads * stride).fill(7), receiverCount = new Uint32Array(allHeads);
  for (let head = 0; head < allHeads; head++) {
    for (let slot = start[head]!; slot < end[head]!; slot++) {
      if (stays[head * stride + slot]) receivers[head * stride + receiverCount[head]!++] = slot;
    }
  }
  return { rows: of.evicted, rowCount: of.evictedCount, receivers, receiverCount };
}
