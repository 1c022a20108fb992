/**
 * LongBench's code edit similarity (lcc, repobench-p): the first line that is code, not a comment or fence, against the reference; 2·LCS / (both lengths),
 * which is the ratio that fuzzywuzzy gives with python-Levenshtein.
 */
import { commonSubsequence } from "./common_subsequence.ts";

export function codeSimilarity(answer: string, reference: string): number {
  const line = answer.replace(/^\n+/, "").split("\n").find((line) => !/[`#]|\/\//.test(line)) ?? "";
  if (line.length + reference.length === 0) return 1;
  return 2 * commonSubsequence(line, reference) / (line.length + reference.length);
}
