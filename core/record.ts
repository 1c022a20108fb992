/** What a run tells: its events while it goes, and the record at its end (`--json` prints the record). Contract: `design.md` section 6. */

import type { StoredType } from "./stored_rows.ts";
import type { Strategy } from "./strategy.ts";

export type Positions = "original" | "compact";

export interface SourceRecord {
  name: string;
  /** By what it holds: "pdf", "html", "text", … */
  type: string;
  bytes: number;
  tokens: number;
  /** Where it has such. */
  pages?: number;
  /** Of its bytes, where they were hashed. */
  sha256?: string;
}

/** One answered request. */
export interface AnswerRecord {
  schema: "palimpsest.answer/1";
  command: "ask" | "summarize";
  strategy: Strategy;
  answer: string;
  finish: "stop" | "length";
  model: { name: string; architecture: string; sha256: string; trainedPositions: number };
  device: { kind: "cpu" | "webgpu" | "wasm"; name: string };
  policy: PolicyRecord;
  document: { sources: SourceRecord[]; tokens: number };
  kv: {
    budgetSlots: number;
    capacitySlots: number;
    bytes: number;
    /** What keys and values are stored in. */
    type: StoredType;
    /** Beside `bytes`, what a pass holds in f32 of rows that are not computed with as they are stored: one layer's at a time. */
    widenedBytes: number;
    compactions: number;
    peakLiveSlots: number;
    evictedSlots: number;
    /** Written slots that stay; null where everything that is written stays. */
    decodeBudgetSlots: number | null;
    /** Written slots evicted, per head; not in `evictedSlots`. */
    evictedWrittenSlots: number;
    positions: Positions;
    /** Share of the kept document slots that lie in each tenth of the document, in its order. */
    coverage: number[];
  };
  /** Passages that were read again before the answer, in that order. */
  passages: RecalledPassage[];
  /** Passages that question and answer come from, the best one first; where they were asked for. */
  citations?: RecalledPassage[];
  /** What was answered first, under `stream+verify`, where something was evicted. */
  draft?: string;
  /** Parts that were answered, under `map-reduce`. */
  parts?: number;
  /**
   * Prefill lasts until the first token of the answer is known; its tokens are all that were forwarded by then: the document, passages read again, the
   * question. Notes are part of decoding. policyMs: all that `full` would not do: probe passes, scoring, selection, compaction, recall, and the same
   * while writing.
   */
  timing: {
    loadMs: number;
    prefillTokens: number;
    prefillMs: number;
    policyMs: number;
    decodeTokens: number;
    decodeMs: number;
    peakRssBytes: number;
  };
}

export interface RecalledPassage {
  /** Where it begins in all that was read, 0 to 1. */
  at: number;
  /** The document that it stands in, and the page and section, where that has such. */
  source?: string;
  page?: number;
  section?: string;
  /** What it says, with … where something is missing. */
  text: string;
}

export interface PolicyRecord {
  name: string;
  probe: string;
  aggregate: string;
  allocate: string;
  select: string;
  compensate: string;
  recall: string;
  decode: string;
}

export type AnswerEvent =
  /** Something the user should know (a clamped budget, replaced bytes): one sentence. */
  | { type: "warning"; message: string }
  /** Something has begun that takes a moment and tells no progress, in a few words. */
  | { type: "status"; message: string }
  /** After each chunk. Slots are per KV head, the mean over layers and heads; total is missing for a stream. */
  | {
    type: "progress";
    phase: "prefill" | "decode";
    done: number;
    total?: number;
    liveSlots: number;
    budgetSlots: number;
  }
  /** A piece of the answer, as soon as it is certain. */
  | { type: "text"; text: string }
  | { type: "result"; record: AnswerRecord };
