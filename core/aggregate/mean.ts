/** Mean over probe rows and heads of a group, then average pooling over neighbouring slots (SnapKV, arXiv 2404.14469; kvpress's form). */
import type { Aggregate } from "../policy.ts";

/** Slots that are averaged. */
export const MEAN_KERNEL = 5;

/** @param kernel slots that are averaged, odd; beyond the ends counts as zero, as in torch's avg_pool1d. 1: no pooling. */
export const mean = (kernel = MEAN_KERNEL): Aggregate => ({
  name: "mean",
  rows: ["mean"],
  score: (evidence) => (evidence.score ?? evidence.mean!).map((row) => averagePool(row, kernel)),
});

export function averagePool(row: Float32Array, kernel: number): Float32Array {
  if (kernel === 1) return row;
  const radius = (kernel - 1) / 2, out = new Float32Array(row.length);
  for (let slot = 0; slot < row.length; slot++) {
    const from = Math.max(0, slot - radius), to = Math.min(row.length - 1, slot + radius);
    let sum = 0;
    for (let i = from; i <= to; i++) sum += row[i]!;
    out[slot] = sum / kernel;
  }
  return out;
}
