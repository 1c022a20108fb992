/** Word F1 (SQuAD, LongBench's question answering): harmonic mean of precision and recall of the normalised words, repeated ones counted. */
import { normalise } from "./normalise.ts";

export function f1(answer: string, reference: string): number {
  const words = normalise(answer).split(" ").filter(Boolean), wanted = normalise(reference).split(" ").filter(Boolean);
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of words) {
    const count = left.get(word) ?? 0;
    if (count > 0) common++;
    left.set(word, count - 1);
  }
  // 2PR / (P + R) with P = common / words, R = common / wanted
  return common === 0 ? 0 : 2 * common / (words.length + wanted.length);
}
