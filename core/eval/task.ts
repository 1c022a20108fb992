/** What a measurement asks: a task makes samples, a sample is one document with one question and what a right answer holds. */
import type { Haystack } from "./haystack.ts";

/** Names of the metrics (`metrics.ts`). */
export type MetricName = "all" | "part" | "f1" | "rouge_l" | "classification" | "retrieval" | "count" | "code";

export interface Sample {
  task: string;
  /** The document, an introduction by the task included. */
  context: string;
  /** Follows the document. */
  question: string;
  /** First words of the answer, from which the model goes on; they are not scored. May be empty. */
  answerPrefix: string;
  /** References: what the answer must hold. */
  answers: string[];
  maxNewTokens: number;
  metric: MetricName;
  /** Place of what is asked for, 0 (start) to 1 (end); missing where it stands in many places. */
  depth?: number;
  /** All classes that a classification chooses from. */
  classes?: string[];
  /** Only the first line of the answer counts. */
  firstLine?: boolean;
  /** A model may know the answer without the document: what it says without one is measured too. */
  guessable?: boolean;
  seed: number;
}

export interface Task {
  name: string;
  summary: string;
  /** Whether the user's prose is part of the document. */
  needsProse: boolean;
  /**
   * @param tokens length of the context in the model's tokens; what comes out is at most a sentence longer or shorter
   * @throws {InputError} when the prose is too short
   */
  make(haystack: Haystack, tokens: number, seed: number): Sample;
}
