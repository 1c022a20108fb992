/**
 * ROUGE-L (Lin 2004), F with β = 1, over the whole text's words as they stand (lower case, split at spaces). LongBench uses the Python package `rouge`,
 * which joins the common subsequences of sentence pairs and counts repeated words once; figures differ from it in the second digit.
 */
import { commonSubsequence } from "./common_subsequence.ts";

export function rougeL(answer: string, reference: string): number {
  const words = answer.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = reference.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length + wanted.length === 0) return 0;
  return 2 * commonSubsequence(words, wanted) / (words.length + wanted.length);
}
