/**
 * A share of the slots is spread evenly over equal parts of the document read so far (top-k within each part), the rest goes to the highest scores
 * wherever they are: no part can be crowded out, which a summary needs. As the document grows the parts widen and each thins out.
 */
import { MEMORY_SOURCE } from "../cache.ts";
import type { Select } from "../policy.ts";
import { highest } from "./highest.ts";

/**
 * @param floor share of the slots that is spread evenly, 0 to 1
 * @param parts equal parts of the tokens read so far
 */
export const spread = (floor = 0.5, parts = 20): Select => ({
  name: "spread",
  keep(scores, { quota, protectedSlots, source, tokensRead }) {
    const n = scores.length;
    if (quota >= n) return Int32Array.from({ length: n }, (_, slot) => slot);
    const kept = protectedSlots.slice();
    const taken = kept.reduce((sum, one) => sum + one, 0);
    if (taken >= quota) return highest(scores, quota, protectedSlots);
    const spreadTo = quota - Math.ceil((quota - taken) * (1 - floor));
    let free = spreadTo - taken;

    // slots stand in document order, so a part is a run of slots
    const runs = Array.from({ length: parts }, () => ({ from: n, to: 0, open: 0 }));
    for (let slot = 0; slot < n; slot++) {
      if (source[slot] === MEMORY_SOURCE) continue; // it belongs to no part
      const run = runs[Math.min(parts - 1, Math.floor(source[slot]! * parts / tokensRead))]!;
      run.from = Math.min(run.from, slot);
      run.to = slot + 1;
      if (!kept[slot]) run.open++;
    }
    // the smallest parts first: what they cannot fill goes to the others in equal shares
    const order = runs.filter((run) => run.open > 0).sort((a, b) => a.open - b.open);
    order.forEach((run, i) => {
      const share = Math.min(run.open, Math.ceil(free / (order.length - i)));
      take(kept, scores, run.from, run.to, share);
      free -= share;
    });
    take(kept, scores, 0, n, quota - spreadTo + free);

    const keep = new Int32Array(quota);
    for (let slot = 0, at = 0; slot < n; slot++) if (kept[slot]) keep[at++] = slot;
    return keep;
  },
});

/** Marks the `count` highest scores of slots `from` to `to` that are not kept yet. */
function take(kept: Uint8Array, scores: Float32Array, from: number, to: number, count: number): void {
  const open: number[] = [];
  for (let slot = from; slot < to; slot++) if (!kept[slot]) open.push(slot);
  const mine = Float32Array.from(open, (slot) => scores[slot]!);
  for (const index of highest(mine, count)) kept[open[index]!] = 1;
}
