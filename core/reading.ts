/** One reading of a prompt, whichever device holds its memory: what `answer` asks of it. `Reader` is the one over arrays. */
import type { Passage, Policy } from "./policy.ts";
import type { Positions } from "./record.ts";

/** Disposing gives back what it holds beyond arrays. */
export interface Reading extends Disposable {
  readonly policy: Policy;
  /** Tokens forwarded so far, probes not counted. */
  readonly tokensRead: number;
  readonly positions: Positions;
  readonly compactions: number;
  /** Slots evicted so far, per head on average; written ones not counted. */
  readonly evicted: number;
  /** Written slots evicted so far, per head. */
  readonly evictedWritten: number;
  /** Milliseconds for all that `full` would not do. */
  readonly policyMs: number;
  /** Bytes that were allocated for the cache. */
  readonly kvBytes: number;
  /** Live slots per head, the mean over all heads; and the most that it ever was. */
  readonly liveSlots: number;
  readonly peakLiveSlots: number;
  /**
   * Forwards one chunk; if the budget is then exceeded, probes, selects and compacts.
   * @param whileWhole called in between, when the chunk's slots are all there still
   */
  read(tokens: number[], whileWhole?: () => Promise<void>): Promise<void>;
  /** Share of all live slots in each tenth of what was read from token `first` on. */
  coverage(first: number): Promise<number[]>;
  /**
   * Lets `work` write and decode over what was read from token `firstToken` of the prompt on (and the sinks), then forgets what it wrote: a question
   * on the side, in the room that stands free between two chunks.
   */
  aside<T>(firstToken: number, work: () => Promise<T>): Promise<T>;
  /** Passages to read again before the answer; none while nothing was evicted. @param firstSource the document's first token in the prompt */
  recall(questionTokens: number[], firstSource: number): Promise<Passage[]>;
  /** Forwards the rest of the prompt, which stays whatever the budget, and gives the logits of its last token. */
  write(tokens: number[]): Promise<Float32Array>;
  /** Forwards a written token and gives the logits of the next; under a decode budget, the least wanted written tokens make room. */
  next(token: number): Promise<Float32Array>;
}
