/** What golden vectors ask of the device that they run on; `cpu/` and `gpu/` answer. The comparisons are the same for both. */
import type { ModelConfig } from "../../core/engine/weights.ts";
import type { Aggregate, Probe, Scores } from "../../core/policy.ts";
import type { Positions } from "../../core/record.ts";
import type { FixtureCheck } from "./fixtures.ts";
import type { OpenOptions } from "./open.ts";
import type { Check } from "./report.ts";

export interface GoldenDevice {
  /** For the first line. */
  readonly name: string;
  /** Opens a model, uses it and closes it. */
  model<T>(path: string, options: OpenOptions, use: (model: TestedModel) => Promise<T>): Promise<T>;
  /** As `model`, for a prompt that is scored and compressed. @param ragged heads of a layer may keep different numbers of slots */
  prompt<T>(path: string, asked: PromptOptions, use: (prompt: TestedPrompt) => Promise<T>): Promise<T>;
  /** By the name of the file. */
  readonly fixtures: Record<string, FixtureCheck>;
  close(): Promise<void>;
}

export interface TestedModel {
  readonly config: ModelConfig;
  /** An empty memory with room for `slots` tokens. */
  memory(slots: number): TestedMemory;
}

export interface TestedMemory {
  /**
   * Forwards `ids` behind what is there, in chunks of `size`.
   * @returns logits of the last `logitsRows`; the last row of the residual stream after every layer, where the model was opened for it
   */
  forward(ids: number[], options: { size?: number; logitsRows: number }): Promise<Forwarded>;
  close(): void;
}

export interface Forwarded {
  /** [logitsRows, vocab] */
  logits: Float32Array;
  /** [layers + 1, hidden] */
  hiddenLast: Float32Array | null;
}

export interface PromptOptions {
  ids: number[];
  /** Tokens that are forwarded one by one behind it. */
  decodeIds: number[];
  /** What a graph must give for its scores. */
  features: OpenOptions["features"];
  /** Whether the value norms of its slots are wanted. */
  valueNorms: boolean;
  /** Heads of a layer may keep different numbers of slots. */
  ragged: boolean;
}

export interface TestedPrompt {
  readonly config: ModelConfig;
  /** Facts of the prompt, and what decoding on all of it gives. */
  facts(): Promise<PromptFacts>;
  /**
   * Reads the prompt in chunks of these sizes (the last size over and over), the probe looking at every chunk.
   * @returns scores of the first `slots` slots of every head after the last chunk
   */
  scores(by: Scoring, sizes: number[], slots: number): Promise<Scores>;
  /** Reads the prompt, keeps what `by` says and decodes. */
  compress(scores: Scores, by: Compression): Promise<Compressed>;
}

export interface PromptFacts {
  /** Per head [slots]. */
  valueNorms: Float32Array[];
  /** Per layer, of the queries before rotation. */
  moments: { sum: ArrayLike<number>; outer: ArrayLike<number> }[];
  /** Per head [slots, headDim]. */
  keys: Float32Array[];
  values: Float32Array[];
  /** [decodeIds, vocab] */
  logits: Float32Array;
}

/** How a prompt is scored: a probe and an aggregate, and their parameters as the vector has them. */
export interface Scoring {
  probe: Probe;
  aggregate: Aggregate;
  /** Neighbours that the aggregate averages over, where it does. */
  kernel?: number;
  /** Slots at the start whose queries and keys a probe leaves out. */
  sinks: number;
  lag?: number;
  future?: number;
}

/** How slots are chosen, and what becomes of them. */
export interface Compression {
  /** Slots per head that stay, on average. */
  budget: number;
  quotas:
    | { kind: "uniform" }
    /** Heads of a layer compete; each has this share of the budget for sure. */
    | { kind: "ada"; share: number }
    /** `quotas` per head; `isStage` where the stage must give the same. */
    | { kind: "pyramid"; quotas: Int32Array; beta: number; isStage: boolean };
  /** Two stages instead of one. */
  critical: { firstStage: number; epsilon: number } | null;
  /** What is evicted is merged into what stays. */
  merge: { threshold: number } | null;
  /** Per head, 1 for slots that must stay. */
  protectedSlots: Uint8Array[];
  positions: Positions;
  /** Slots at the start that keep their positions. */
  sinks: number;
  /** Comparisons of parts are added here. */
  checks: Check[];
}

export interface Compressed {
  /** Slots for every head. */
  quotas: ArrayLike<number>;
  /** Under `critical`, per head: scores of the second stage, and 1 where the first took a slot. */
  stages: { final: Float32Array; taken: ArrayLike<number> }[] | null;
  /** Per head, ascending. */
  keep: ArrayLike<number>[];
  /** Afterwards: live slots of every head, their rows [live, headDim], and where decoding starts. */
  live: ArrayLike<number>;
  keys: Float32Array[];
  values: Float32Array[];
  start: number;
  /** [decodeIds, vocab] */
  logits: Float32Array;
}
