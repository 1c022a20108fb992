/** What logits say of a text that is known. */

/** Natural-log probabilities of one row of logits, in double precision. */
export function logProbabilities(logits: Float32Array): Float64Array {
  let most = -Infinity, sum = 0;
  for (const logit of logits) if (logit > most) most = logit;
  for (const logit of logits) sum += Math.exp(logit - most);
  const shift = most + Math.log(sum);
  return Float64Array.from(logits, (logit) => logit - shift);
}

/** Mean over rows of −ln p(token) in nats. @param logits [tokens.length, vocab] */
export function negativeLogLikelihood(logits: Float32Array, tokens: readonly number[], vocab: number): number {
  if (tokens.length === 0 || logits.length !== tokens.length * vocab) {
    throw new Error(`Cannot score ${tokens.length} tokens with ${logits.length} logits of a vocabulary of ${vocab}`);
  }
  let sum = 0;
  tokens.forEach((token, row) => sum -= logProbabilities(logits.subarray(row * vocab, (row + 1) * vocab))[token]!);
  return sum / tokens.length;
}
