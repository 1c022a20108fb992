/** One reading of a prompt, whichever device holds its memory: what `answer` asks of it. `Reader` is the one over arrays. */
import { type GraphFeatures, missing } from "./engine/features.ts";
import { UsageError } from "./errors.ts";
import type { KnownText } from "./recall/known_text.ts";
import type { StoredType } from "./stored_rows.ts";
import { needs, type Passage, type Policy } from "./policy.ts";
import type { Positions } from "./record.ts";

/** Indices in the prompt of a document's first token, and of the one behind its last. */
export interface DocumentPlace {
  first: number;
  end: number;
}

/** Disposing gives back what it holds beyond arrays. */
export interface Reading extends Disposable {
  readonly policy: Policy;
  /** Tokens forwarded so far, probes not counted. */
  readonly tokensRead: number;
  readonly positions: Positions;
  readonly compactions: number;
  /** Text around the slots, where the policy recalls it. */
  readonly text: KnownText | null;
  /** Slots evicted so far, per head on average; written ones not counted. */
  readonly evicted: number;
  /** Written slots evicted so far, per head. */
  readonly evictedWritten: number;
  /** Milliseconds for all that `full` would not do. */
  readonly policyMs: number;
  /** What keys and values are stored in. */
  readonly kvType: StoredType;
  /** Bytes that were allocated for the cache. */
  readonly kvBytes: number;
  /** What a pass holds beside them in f32 of rows that are not computed with as they are stored. */
  readonly widenedBytes: number;
  /** Live slots per head, the mean over all heads; and the most that it ever was. */
  readonly liveSlots: number;
  readonly peakLiveSlots: number;
  /**
   * Forwards one chunk; if the budget is then exceeded, probes, selects and compacts.
   * @param whileWhole called in between, when the chunk's slots are all there still
   */
  read(tokens: number[], whileWhole?: () => Promise<void>): Promise<void>;
  /** Source tokens of every head's live slots. */
  keptTokens(): Promise<Int32Array[]>;
  /** Share of all live slots in each tenth of what was read from token `first` on. */
  coverage(first: number): Promise<number[]>;
  /**
   * Lets `work` write and decode over what was read from token `firstToken` of the prompt on (and the sinks), then forgets what it wrote: a question
   * on the side, in the room that stands free between two chunks.
   */
  aside<T>(firstToken: number, work: () => Promise<T>): Promise<T>;
  /** Passages to read again before the answer; none while nothing was evicted. @param document its place in the prompt */
  recall(questionTokens: number[], document: DocumentPlace): Promise<Passage[]>;
  /** Passages that some text looks at most, the best one last: where an answer came from. None where the policy remembers no text. */
  cite(tokens: number[], document: DocumentPlace): Promise<Passage[]>;
  /** Forwards the rest of the prompt, which stays whatever the budget, and gives the logits of its last token. */
  write(tokens: number[]): Promise<Float32Array>;
  /** Forwards a written token and gives the logits of the next; under a decode budget, the least wanted written tokens make room. */
  next(token: number): Promise<Float32Array>;
  /** `write`, and of the logits only which is the largest, the first of equals: a device then gives a number back instead of a row. */
  likeliestAfter(tokens: number[]): Promise<number>;
  /** `next`, and of the logits only which is the largest. */
  likeliestNext(token: number): Promise<number>;
}

/**
 * Refuses to read without what a policy needs.
 * @param given what the graph gives
 * @param wanted what the policy needs of it
 * @throws {UsageError} when the model was opened for a policy that needs less, or the policy needs a question and there is none
 */
export function refuseUnmet(
  policy: Policy,
  given: GraphFeatures,
  wanted: GraphFeatures,
  questionTokens: readonly number[],
): void {
  const lacks = missing(given, wanted);
  if (lacks.length > 0) {
    throw new UsageError(
      `The model was opened for another policy, and policy ${policy.name} needs ${lacks.join(" and ")}: ` +
        "open it with that policy",
    );
  }
  if (needs(policy, "question") && questionTokens.length === 0) {
    throw new UsageError(
      `Policy ${policy.name} asks with the question, which is not known while the document is read: ` +
        "use a policy that needs none, such as role or snapkv",
    );
  }
}
