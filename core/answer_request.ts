/** What is asked of documents: how they are read, and what is then asked of the memory. */
import type { MemoryRequest } from "./memory.ts";
import type { ReadOptions } from "./read.ts";
import type { Question } from "./respond.ts";
import type { Strategy } from "./strategy.ts";
import type { Source } from "./text/document.ts";

export interface AnswerRequest
  extends Omit<Question, "documents" | "verify">, MemoryRequest, Pick<ReadOptions, "collectGarbage"> {
  sources: Source[];
  /** Default: `stream`. */
  strategy?: Strategy;
  /** False: the document is read before its questions are known, and no policy may ask with them. Default true. */
  questionKnown?: boolean;
  /** Written tokens that stay in memory, under a decode policy that evicts; at least 16. Default 512. */
  decodeBudget?: number;
  /** Write notes along the way and answer with them (`notes.ts`): so many to twice as many, of so many tokens each. */
  notes?: { wanted: number; tokens: number };
  /** Refuse to evict anything. */
  strict: boolean;
}
