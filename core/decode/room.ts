/** How many slots what is written may take. */
import { UsageError } from "../errors.ts";
import type { Policy } from "../policy.ts";
import { DECODE_BLOCK } from "./evict.ts";

/** Written tokens that stay, where the decode policy evicts. */
export const DEFAULT_DECODE_BUDGET = 512;
/** Fewest that a decode budget may name: with less the last words would be gone before the sentence ends. */
export const LEAST_DECODE_BUDGET = 16;

export interface WritingRequest {
  maxTokens: number;
  /** Tokens of a note (`notes.ts`), which is written apart from the answer and always kept whole. */
  noteTokens?: number | undefined;
  /** `--decode-budget`. */
  decodeBudget?: number | undefined;
}

export interface WritingRoom {
  /** Written slots per head that stay; Infinity where nothing will be evicted. */
  budget: number;
  /** Slots per head that written tokens take at most. */
  slots: number;
}

/** @throws {UsageError} for a budget that is no number of tokens, or that the policy would not keep */
export function writingRoom(policy: Policy, request: WritingRequest): WritingRoom {
  const { maxTokens, noteTokens = 0, decodeBudget } = request;
  if (decodeBudget !== undefined && !(Number.isInteger(decodeBudget) && decodeBudget >= LEAST_DECODE_BUDGET)) {
    throw new UsageError(
      `--decode-budget is ${decodeBudget}: use a whole number of tokens from ${LEAST_DECODE_BUDGET} on, such as ${DEFAULT_DECODE_BUDGET}`,
    );
  }
  if (!policy.decode.evicts) {
    if (decodeBudget !== undefined && decodeBudget < maxTokens) {
      throw new UsageError(
        `--decode-budget is ${decodeBudget}, and policy ${policy.name} keeps all of the ${maxTokens} tokens that it may write: ` +
          `use a policy that evicts while writing, such as moment, or --max-tokens ${decodeBudget}`,
      );
    }
    return { budget: Infinity, slots: Math.max(noteTokens, maxTokens) };
  }
  const budget = decodeBudget ?? DEFAULT_DECODE_BUDGET;
  if (maxTokens <= budget + DECODE_BLOCK) return { budget: Infinity, slots: Math.max(noteTokens, maxTokens) };
  return { budget, slots: Math.max(noteTokens, budget + DECODE_BLOCK) };
}
