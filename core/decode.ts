/** Greedy decoding: the same answer every time on the same device. */

/** Index of the largest logit, the first of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}
