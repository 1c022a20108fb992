/**
 * What a policy is made of: one variant per stage, each a factory that gives a plain object of functions. A policy keeps no state between
 * compactions; everything it decides from stands in its arguments.
 *
 * Shapes: a *head* is a pair of layer and KV head (`cache.ts`); scores are one Float32Array [live slots] per head, higher means keep.
 */
import type { KvCache } from "./cache.ts";
import type { Aggregation } from "./engine/attention.ts";
import type { Engine, PassResult } from "./engine/engine.ts";
import type { PolicyRecord } from "./record.ts";

export type Scores = Float32Array[];

/** What a probe may look at, after a chunk's rows were appended. */
export interface ProbeContext {
  engine: Engine;
  cache: KvCache;
  /** The chunk's own pass, scored with `windowRows` rows. */
  chunk: PassResult;
  /** Tokens that stand for the question (or instruction). */
  questionTokens: number[];
  /** RoPE index of the token after the chunk. */
  nextPosition: number;
}

/** Which queries ask the cache what matters? */
export interface Probe {
  name: string;
  /** So many last rows of the chunk are scored in its own pass; 0 for none. */
  windowRows: number;
  /** The probe asks with attention, so the graph must give the attention mass. */
  needsMass: boolean;
  look(context: ProbeContext): Promise<Scores>;
}

/** How do many query rows become one score per slot? */
export interface Aggregate {
  name: string;
  /** Over the probe's rows and the heads of a group; done inside the graph. */
  rows: Aggregation;
  /** Over neighbouring slots. Gives new arrays or the ones it got. */
  pool(scores: Scores): Scores;
}

/** How many slots does each head get? */
export interface Allocate {
  name: string;
  /** @returns slots per head whose mean is at most `budget`. */
  quotas(scores: Scores, budget: number): Int32Array;
}

export interface SelectContext {
  /** Slots of the head to keep, protected ones included. */
  quota: number;
  /** 1 for slots that must stay: sinks and the recent window. */
  protectedSlots: Uint8Array;
  /** Index of each slot's token in the prompt. */
  source: Int32Array;
  /** Tokens of the prompt read so far, head included. */
  tokensRead: number;
}

/** Which slots stay? */
export interface Select {
  name: string;
  /** @returns ascending slot indices, `quota` of them (all when there are fewer slots). */
  keep(scores: Float32Array, context: SelectContext): Int32Array;
}

/** What becomes of what the evicted slots knew? Called before the rows move. */
export interface Compensate {
  name: string;
  apply(cache: KvCache, keep: Int32Array[], scores: Scores): void;
}

/** What is kept while writing? */
export interface DecodePolicy {
  name: string;
}

export interface Policy {
  name: string;
  probe: Probe;
  aggregate: Aggregate;
  allocate: Allocate;
  select: Select;
  compensate: Compensate;
  decode: DecodePolicy;
  /** False: nothing is ever evicted, and a document that does not fit is refused. */
  evicts: boolean;
}

/** First tokens of the prompt that every eviction keeps (attention sinks). */
export const SINKS = 4;
/** Newest slots that every eviction keeps. */
export const RECENT = 32;
/** Fewest slots that a budget must have: the protected ones and one to choose. */
export const MIN_BUDGET = SINKS + RECENT + 1;

export function policyRecord(policy: Policy): PolicyRecord {
  return {
    name: policy.name,
    probe: policy.probe.name,
    aggregate: policy.aggregate.name,
    allocate: policy.allocate.name,
    select: policy.select.name,
    compensate: policy.compensate.name,
    decode: policy.decode.name,
  };
}
