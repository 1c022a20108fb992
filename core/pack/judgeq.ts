/** The pack of Judge Q (arXiv 2509.10798): embeddings of tokens that no vocabulary has, which ask what an answer would ask. */
import type { ModelConfig } from "../engine/weights.ts";
import type { PackArrays } from "./arrays.ts";
import type { PackHeader } from "./header.ts";
import { MAX_OFFSET, MAX_SOFT_ROWS, wholeParameter } from "./parameters.ts";

export interface JudgeqPack {
  header: PackHeader;
  /** [count, hidden] */
  tokens: Float32Array;
  count: number;
  /** Positions between the last token that was read and the first row. */
  offset: number;
}

/** @throws {ModelError} for arrays or parameters that cannot be used */
export async function judgeqPack(
  header: PackHeader,
  arrays: PackArrays,
  { hidden }: ModelConfig,
): Promise<JudgeqPack> {
  const { shape: [count], data: tokens } = await arrays.floats("tokens", [{ name: "k", most: MAX_SOFT_ROWS }, hidden]);
  return { header, tokens, count: count!, offset: wholeParameter(header, arrays, "offset", 0, MAX_OFFSET) };
}
