/** One measurement: a sample read under one policy, budget and protocol. A line of the results file. */
import { UsageError } from "../errors.ts";
import type { Strategy } from "../strategy.ts";
import type { Costs } from "./reading.ts";
import type { MetricName } from "./task.ts";

/** `aware`: the policy knows the question while the document is read. `agnostic`: it does not. */
export type Protocol = "aware" | "agnostic";

/** Slots per KV head, a share of the document's tokens, or bytes of the whole cache. */
export type EvalBudget = { slots: number } | { share: number } | { bytes: number };

/** What a sample is measured under. */
export interface Cell {
  policy: string;
  strategy: Strategy;
  budget: EvalBudget;
  protocol: Protocol;
}

/** What tables and charts call it. */
export const spellCell = ({ policy, strategy }: Cell): string =>
  strategy === "stream" ? policy : strategy === "map-reduce" ? strategy : `${policy}, ${strategy}`;

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
  /** The policy, and how it answered where that is not `stream`. */
  policy: string;
  /** Null for `full`. */
  strategy: Strategy | null;
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
  /** Mean next-token KL(full ‖ policy) in nats over the first tokens of the full cache's answer; null where another text is answered from (not `stream`). */
  kl: number | null;
  /** Share of these tokens that the policy's cache would choose too. */
  top1: number | null;
  /** Share of the oracle's slots that the policy kept. */
  hitRate: number | null;
  costs: Costs;
}

/** "512" or "25%"; bytes are read where `--kv-budget` is. @throws {UsageError} for anything else */
export function parseEvalBudget(text: string): EvalBudget {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(text), value = Number(found?.[1]);
  if (found?.[2] === "%" && value > 0 && value <= 100) return { share: value / 100 };
  if (found?.[2] === "" && Number.isInteger(value) && value > 0) return { slots: value };
  throw new UsageError(
    `eval's --kv-budget takes slots (512), a share of the document (25%) or bytes (32MiB), or a list of them; current value is ` +
      JSON.stringify(text),
  );
}

export function spellEvalBudget(budget: EvalBudget): string {
  if ("share" in budget) return `${+(100 * budget.share).toFixed(4)}%`;
  if ("slots" in budget) return String(budget.slots);
  return budget.bytes % MIB === 0 ? `${budget.bytes / MIB}MiB` : `${budget.bytes}B`;
}

const MIB = 2 ** 20;

/**
 * @param contextTokens of the document that a share is taken of
 * @param least slots that a policy works with: a share of a short document is not less
 */
export const requestOf = (
  budget: EvalBudget,
  contextTokens: number,
  least: number,
): { slots: number } | { bytes: number } =>
  "share" in budget ? { slots: Math.max(least, Math.round(budget.share * contextTokens)) } : budget;
