/** How near a reading under a policy comes to the full cache's: definitions of `design.md` section 7. */
import { logProbabilities } from "../decode/log_probabilities.ts";

/** Mean over rows of KL(full ‖ policy) in nats. @param full @param policy logits [rows, vocab] */
export function klDivergence(full: Float32Array, policy: Float32Array, vocab: number): number {
  const rows = rowsOf(full, policy, vocab);
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const p = logProbabilities(full.subarray(row * vocab, (row + 1) * vocab));
    const q = logProbabilities(policy.subarray(row * vocab, (row + 1) * vocab));
    for (let i = 0; i < vocab; i++) {
      const probability = Math.exp(p[i]!);
      if (probability > 0) sum += probability * (p[i]! - q[i]!);
    }
  }
  // rounding may leave a hair below zero where both are equal
  return Math.max(0, sum / rows);
}

/** Share of rows in which both choose the same token. Of equal logits the first counts, as in greedy decoding. */
export function topOneAgreement(full: Float32Array, policy: Float32Array, vocab: number): number {
  const rows = rowsOf(full, policy, vocab);
  let same = 0;
  for (let row = 0; row < rows; row++) {
    let a = row * vocab, b = row * vocab;
    for (let i = row * vocab; i < (row + 1) * vocab; i++) {
      if (full[i]! > full[a]!) a = i;
      if (policy[i]! > policy[b]!) b = i;
    }
    if (a === b) same++;
  }
  return same / rows;
}

function rowsOf(full: Float32Array, policy: Float32Array, vocab: number): number {
  if (full.length !== policy.length || full.length === 0 || full.length % vocab !== 0) {
    throw new Error(`Cannot compare ${full.length} with ${policy.length} logits of a vocabulary of ${vocab}`);
  }
  return full.length / vocab;
}

/**
 * Share of the oracle's slots that a policy kept, the mean over heads. The oracle keeps, per head, the `budget` slots to which the full cache's answer
 * attended most; of equal ones the earlier.
 * @param mass per head [tokens of the prompt's head and document]: mean attention of the answer in the full cache, where slot i holds token i
 * @param kept per head the source tokens of the slots that the policy kept
 */
export function hitRate(mass: readonly Float32Array[], kept: readonly ArrayLike<number>[], budget: number): number {
  let sum = 0;
  for (let head = 0; head < mass.length; head++) {
    const row = mass[head]!, wanted = Math.min(budget, row.length);
    const held = new Uint8Array(row.length), sources = kept[head]!;
    // slots that stand for several tokens have no source of their own
    for (let i = 0; i < sources.length; i++) if (sources[i]! >= 0) held[sources[i]!] = 1;
    const best = Uint32Array.from(row, (_, slot) => slot).sort((a, b) => row[b]! - row[a]! || a - b).subarray(
      0,
      wanted,
    );
    let hits = 0;
    for (const slot of best) hits += held[slot]!;
    sum += hits / wanted;
  }
  return sum / mass.length;
}
