/**
 * What a policy is made of: one variant per stage, each a factory that gives a plain object of functions. A policy keeps no state of its own between
 * compactions: what it must remember stands in slot attributes, which the cache allocates once, moves and counts.
 *
 * Shapes: a *head* is a pair of layer and KV head (`cache.ts`); scores are one Float32Array [live slots] per head, higher means keep.
 */
import type { AttributeSpec, KvCache, SlotAttribute } from "./cache.ts";
import type { Aggregation } from "./engine/attention_mass.ts";
import type { Engine, PassResult } from "./engine/engine.ts";
import type { ModelConfig } from "./engine/weights.ts";
import { type GraphFeatures, NO_FEATURES } from "./engine/features.ts";
import type { PackMethod } from "./pack/method.ts";
import type { Packs } from "./pack/packs.ts";
import { learnedSizes } from "./pack/sizes.ts";
import { DocumentMean, documentMeanBytes } from "./probe/document_mean.ts";
import type { PolicyRecord } from "./record.ts";
import type { IndexRows } from "./probe/index_score.ts";
import type { Tokenizer } from "./text/tokenizer.ts";

export type Scores = Float32Array[];

/**
 * What a probe saw: the attention mass of every slot, by aggregation over the probe's rows and the heads of a group (those that the aggregate asked
 * for), or `score`, a number per slot that is no attention.
 */
export type Evidence = { [key in Aggregation | "score"]?: Scores } & {
  /** Query rows that asked, where it is attention mass. */
  rows?: number;
};

/** What every stage may look at, after a chunk's rows were appended. */
export interface StageContext {
  engine: Engine;
  cache: KvCache;
  /** Slots per head that shall be left, on average. */
  budget: number;
  /** Most slots that one head may get: beyond, its positions would pass the trained ones. */
  mostSlots: number;
  /** Tokens of the prompt read so far, head included. */
  tokensRead: number;
  /** Per head 1 for slots that must stay: sinks, the recent window, slots that stand for several tokens. */
  protectedSlots: Uint8Array[];
}

/** What learned rows may be made of; known before the chunk's pass. */
export interface SoftContext {
  packs: Packs;
  /** Tokens that stand for the question (or instruction); none when the document is read before its questions are known. */
  questionTokens: number[];
  /** What is known of the embeddings up to the chunk's end; null where no variant needs it. */
  document: DocumentMean | null;
  /** RoPE index of the token after the chunk. */
  nextPosition: number;
  /** Positions that the model was trained on from there on; Infinity where they bound nothing. At least as many as the reserve. */
  positionsLeft: number;
}

export interface ProbeContext extends StageContext, SoftContext {
  /** The chunk's own pass, scored with `windowRows` rows. */
  chunk: PassResult;
  /** The chunk's token ids. */
  tokens: number[];
  /** Tokens with which an answer would begin: the end of the user's turn and the start of the assistant's. */
  answerTokens: number[];
  /** For probes that ask with a text of their own. */
  tokenizer: ProbeTokenizer;
  /** How the aggregate wants attention mass. */
  rows: readonly Aggregation[];
}

export type ProbeTokenizer = Pick<Tokenizer, "encode" | "stopIds">;

/** What a variant asks of the others' stage and of the graph; absent means no. */
export interface Needs {
  /** Probes only: it asks with attention, so the graph gives mass as the aggregate wants it; or as it needs it itself, to make a score of it. */
  mass?: boolean | readonly Aggregation[];
  valueNorms?: boolean;
  queryMoments?: boolean;
  logBias?: boolean;
  /** Rows of a pass are given as embeddings. */
  embeddings?: boolean;
  /** Index keys of every row that is read. */
  indexer?: boolean;
  /** A latent memory beside the slots, which attention reads. */
  readout?: boolean;
  /** The mean of the document's embeddings, and the last one. */
  documentMean?: boolean;
  /** Weights that were learned for the model. */
  pack?: PackMethod | readonly PackMethod[];
  /** The question must be known before the document is read. */
  question?: boolean;
  /** The question is asked with where it is known, and nothing is missing where it is not. */
  questionHelps?: boolean;
  /** The text around the slots that are left stays known. */
  text?: boolean;
}

interface Variant {
  name: string;
  needs?: Needs;
  /** What it remembers of every slot. */
  attributes?: readonly SlotAttribute[];
}

/** Which queries ask the cache what matters? */
export interface Probe extends Variant {
  /** So many last rows of the chunk are scored in its own pass; 0 for none, Infinity for all. */
  windowRows: number;
  /** Scores every chunk, also while the budget is not exceeded yet: for scores that are given once per token. */
  everyChunk?: boolean;
  /** Rows of a chunk that ask with index queries, for probes that need the indexer. */
  indexRows?: IndexRows;
  /** Looks at nothing that was read: with it, a policy is a baseline. */
  blind?: boolean;
  look(context: ProbeContext): Promise<Evidence>;
}

/** How do many query rows become one score per slot? */
export interface Aggregate extends Variant {
  /** Over the probe's rows and the heads of a group; done inside the graph. */
  rows: readonly Aggregation[];
  /** Over neighbouring slots, heads of a layer, … Gives new arrays or the ones it got; takes `score` where there is no mass. */
  score(evidence: Evidence, context: StageContext): Scores | Promise<Scores>;
}

/** How many slots does each head get? */
export interface Allocate extends Variant {
  /** @returns slots per head: at least the protected ones, at most the live ones, and `budget` on the mean or fewer. */
  quotas(scores: Scores, context: StageContext): Int32Array;
}

export interface SelectContext {
  /** Slots of the head to keep, protected ones included. */
  quota: number;
  /** 1 for slots that must stay. */
  protectedSlots: Uint8Array;
  /** Index of each slot's token in the prompt. */
  source: Int32Array;
  /** ‖v W_O‖₁ of each slot (mean over the heads of the group), where the variant needs value norms; else empty. */
  valueNorm: Float32Array;
  /** Tokens of the prompt read so far, head included. */
  tokensRead: number;
}

/** Which slots stay? */
export interface Select extends Variant {
  /** @returns ascending slot indices, `quota` of them (all when there are fewer slots). */
  keep(scores: Float32Array, context: SelectContext): Int32Array;
}

export interface CompensateContext extends StageContext {
  /** Per head ascending slot indices that stay. */
  keep: Int32Array[];
  scores: Scores;
  evidence: Evidence;
}

/** What becomes of what the evicted slots knew? Called before the rows move; changes keys, values and attributes in the cache. */
export interface Compensate extends Variant {
  /** Slots of each head that it makes of evicted ones at the first compaction, and as many from then on; they are part of the budget. */
  memorySlots?(budget: number): number;
  /** @returns what stays, ascending: `keep`, and at the first compaction the memory slots too; later ones may put others in their place. */
  apply(context: CompensateContext): Int32Array[] | Promise<Int32Array[]>;
}

export interface DecodeContext {
  cache: KvCache;
  /** Written slots of every head: its last ones, the newest token's included. */
  written: number;
  /** Written slots that an eviction leaves. */
  budget: number;
}

/** What is kept while writing? Only written tokens are evicted; what was read stays as it is. */
export interface DecodePolicy extends Variant {
  /** False: nothing that was written is ever evicted, and the reserve holds all of it. */
  evicts: boolean;
  /** Wants to see the attention of the last so many tokens before an eviction; Infinity: of every written token. Default 0. */
  observes?: number;
  /** What every token leaves of the attention remembered so far, where that can be chosen: `observe` does so, and a GPU must as well. */
  decay?: number;
  /** After a written token's row was appended. @param mass [heads, written]: its attention to them, mean over the heads of a group; may be changed */
  observe?(context: DecodeContext, mass: Float32Array): void;
  /** @returns per head a score [written]; the lowest are evicted. Called when the decode budget is exceeded by a block. */
  score?(context: DecodeContext): Scores;
}

/** A stretch of the document, as far as its tokens are still known. */
export interface Passage {
  /** Runs of neighbouring tokens; `from` is the first one's index in the prompt. */
  pieces: { from: number; tokens: number[] }[];
}

/** The document's text, as far as it is still known. */
export interface DocumentText {
  /** Of places `from` to `to` of the prompt, the last one included: runs of neighbouring tokens. */
  between(from: number, to: number): Passage["pieces"];
}

export interface RecallContext {
  heads: number;
  /** Source tokens of a head's live slots, ascending. */
  sources(head: number): Int32Array;
  /** Forwards tokens where the question will stand, and gives the most that any of them looks at each live slot, per head. */
  ask(tokens: number[]): Promise<Scores>;
  questionTokens: number[];
  /** Indices of the document's first token in the prompt, and of the one behind its last. */
  firstSource: number;
  endSource: number;
  /** For a reader's eyes: as many as there may be, however little the later ones weigh. */
  all?: boolean;
  /** What is known of the text, where the variant needs it; else empty. */
  text: DocumentText;
  /** For a text of its own to ask with. */
  tokenizer: ProbeTokenizer;
}

/** What is read again before the answer? Asked once, when something was evicted. */
export interface Recall extends Variant {
  /** Most tokens that are read again; the reserve holds them. */
  tokens: number;
  /** @returns passages in the order in which they are read, the best one last */
  passages(context: RecallContext): Promise<Passage[]>;
}

export interface Policy {
  name: string;
  probe: Probe;
  aggregate: Aggregate;
  allocate: Allocate;
  select: Select;
  compensate: Compensate;
  recall: Recall;
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

/** Fewest slots that a budget must have under a policy. */
export function leastBudget({ compensate }: Policy): number {
  let slots = MIN_BUDGET;
  while (slots - (compensate.memorySlots?.(slots) ?? 0) < MIN_BUDGET) slots++;
  return slots;
}

const variants = (policy: Policy): Variant[] => [
  policy.probe,
  policy.aggregate,
  policy.allocate,
  policy.select,
  policy.compensate,
  policy.recall,
  policy.decode,
];

/** Whether a variant of the policy needs it. */
export function needs(policy: Policy, what: keyof Needs): boolean {
  return variants(policy).some((variant) => variant.needs?.[what]);
}

/** The packs that a policy's variants learned, each once, by name; a mixture's are those of both its probes. */
export function packsOf(policy: Policy): PackMethod[] {
  return [...new Set(variants(policy).flatMap((variant) => variant.needs?.pack ?? []))].sort();
}

/** What the graph must give for a policy, and what it is opened with; nothing else is computed. */
export function featuresFor(policy: Policy): GraphFeatures {
  if (!policy.evicts) return NO_FEATURES;
  const asked = policy.probe.needs?.mass ?? false;
  const mass = new Set<Aggregation>(asked === true ? policy.aggregate.rows : asked || []);
  const looked = policy.recall.needs?.mass;
  if (Array.isArray(looked)) { for (const aggregation of looked) mass.add(aggregation); }
  return {
    ...NO_FEATURES,
    mass: [...mass].sort(),
    valueNorms: needs(policy, "valueNorms"),
    queryMoments: needs(policy, "queryMoments"),
    newestMass: (policy.decode.observes ?? 0) > 0,
    logBias: needs(policy, "logBias"),
    embeddings: needs(policy, "embeddings"),
    packs: packsOf(policy),
    indexer: needs(policy, "indexer"),
    readout: needs(policy, "readout"),
  };
}

/** What a policy remembers of the document beside its slots; null for nothing. @param headTokens tokens before the document */
export function documentMeanFor(policy: Policy, { metasoft }: Packs, headTokens = 0): DocumentMean | null {
  return needs(policy, "documentMean") ? new DocumentMean(metasoft!.table, headTokens, metasoft!.salience) : null;
}

/** Bytes of what a policy remembers beside slots. */
export function stateBytes(policy: Policy, { hidden }: Pick<ModelConfig, "hidden">): number {
  return needs(policy, "documentMean") ? documentMeanBytes(hidden) : 0;
}

/** Slot attributes that a policy's variants declare, each once. @param packs that say how many numbers some have */
export function attributesFor(policy: Policy, packs: Packs = {}): AttributeSpec[] {
  const own = variants(policy).flatMap((variant) => variant.attributes ?? []);
  if (needs(policy, "valueNorms")) own.push("valueNorm");
  if (needs(policy, "logBias")) own.push("logBias");
  return [...new Set(own)].map((name) =>
    name === "indexerKey" ? { name, width: learnedSizes(packs).indexerKey } : name
  );
}

/** Rows of the latent memory that a policy keeps for every head; 0 where it has none. */
export function latentRankFor(policy: Policy, packs: Packs = {}): number {
  return policy.evicts && needs(policy, "readout") ? learnedSizes(packs).latentRank : 0;
}

export function policyRecord(policy: Policy): PolicyRecord {
  return {
    name: policy.name,
    probe: policy.probe.name,
    aggregate: policy.aggregate.name,
    allocate: policy.allocate.name,
    select: policy.select.name,
    compensate: policy.compensate.name,
    recall: policy.recall.name,
    decode: policy.decode.name,
  };
}
