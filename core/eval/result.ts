/** One measurement: a sample read under one policy, budget and protocol. A line of the results file. */
import { UsageError } from "../errors.ts";
import type { Costs } from "./reading.ts";
import type { MetricName } from "./task.ts";

/** `aware`: the policy knows the question while the document is read. `agnostic`: it does not. */
export type Protocol = "aware" | "agnostic";

/** Slots per KV head, or a share of the document's tokens. */
export type EvalBudget = { slots: number } | { share: number };

export interface EvalResult {
  /** Names sample, model and settings: what has a line in the file is not measured again. */
  key: string;
  task: string;
  metric: MetricName;
  /** Wished tokens of the document; null for samples of a file. */
  length: number | null;
  /** Tokens that there were. */
  contextTokens: number;
  /** Number of the sample in its task and length, from 0. */
  index: number;
  seed: number;
  depth: number | null;
  policy: string;
  /** As it was asked for, "512" or "25%"; null for `full`. */
  budget: string | null;
  budgetSlots: number;
  /** Null for `full`, which is the same for both. */
  protocol: Protocol | null;
  /** 0 to 1. */
  score: number;
  /** What the model wrote, the prefix not included. */
  answer: string;
  answers: string[];
  /** Score of what the model says without the document; null where nobody could know. Of `full` only. */
  known: number | null;
  /** Mean next-token KL(full ‖ policy) in nats over the first tokens of the full cache's answer. */
  kl: number;
  /** Share of these tokens that the policy's cache would choose too. */
  top1: number;
  /** Share of the oracle's slots that the policy kept. */
  hitRate: number;
  costs: Costs;
}

/** "512" or "25%". @throws {UsageError} for anything else */
export function parseEvalBudget(text: string): EvalBudget {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(text), value = Number(found?.[1]);
  if (found?.[2] === "%" && value > 0 && value <= 100) return { share: value / 100 };
  if (found?.[2] === "" && Number.isInteger(value) && value > 0) return { slots: value };
  throw new UsageError(
    `eval's --kv-budget takes slots (512) or a share of the document (25%), or a list of them; current value is ` +
      JSON.stringify(text),
  );
}

export const spellEvalBudget = (budget: EvalBudget): string =>
  "share" in budget ? `${+(100 * budget.share).toFixed(4)}%` : String(budget.slots);

/** @param contextTokens of the document that a share is taken of */
export const slotsOf = (budget: EvalBudget, contextTokens: number): number =>
  "share" in budget ? Math.round(budget.share * contextTokens) : budget.slots;
