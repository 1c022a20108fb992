/** By how much the largest logit is above the second: near 0 a greedy token is a matter of rounding. */
export function marginOf(logits: Float32Array): number {
  let first = -Infinity, second = -Infinity;
  for (const value of logits) {
    if (value > first) [first, second] = [value, first];
    else if (value > second) second = value;
  }
  return first - second;
}
