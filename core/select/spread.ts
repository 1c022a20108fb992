/**
 * Top-k within equal parts of the document read so far, so that no part of it can crowd the others out: what a summary needs. As the document grows
 * the parts widen and each thins out.
 */
import type { Select } from "../policy.ts";
import { marked, markHighest } from "./topk.ts";

/** @param parts equal parts of the tokens read so far */
export const spread = (parts = 20): Select => ({
  name: "spread",
  keep(scores, { quota, protectedSlots, source, tokensRead }) {
    const n = scores.length;
    if (quota >= n) return Int32Array.from({ length: n }, (_, slot) => slot);
    const kept = protectedSlots.slice();
    let free = quota - kept.reduce((sum, one) => sum + one, 0);
    // slots stand in document order, so a part is a run of slots
    const part = (slot: number) => Math.min(parts - 1, Math.floor(source[slot]! * parts / tokensRead));
    const runs = Array.from({ length: parts }, () => ({ from: n, to: 0, open: 0 }));
    for (let slot = 0; slot < n; slot++) {
      const run = runs[part(slot)]!;
      run.from = Math.min(run.from, slot);
      run.to = slot + 1;
      if (!kept[slot]) run.open++;
    }
    // the smallest parts first: what they cannot fill goes to the others in equal shares
    const order = runs.filter((run) => run.open > 0).sort((a, b) => a.open - b.open);
    order.forEach((run, i) => {
      const share = Math.min(run.open, Math.ceil(free / (order.length - i)));
      markHighest(scores, share, kept, run.from, run.to);
      free -= share;
    });
    return marked(kept, quota);
  },
});
