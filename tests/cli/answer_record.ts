/** The record of a made-up answer: a document of 30,112 tokens that was compressed, and an answer that was cut. */
import type { AnswerRecord } from "../../core/record.ts";

export const record: AnswerRecord = {
  schema: "palimpsest.answer/1",
  command: "ask",
  answer: "Green.",
  finish: "length",
  model: { name: "tiny", architecture: "llama", sha256: "0", trainedPositions: 8192 },
  device: { kind: "cpu", name: "CPU" },
  policy: {
    name: "question",
    probe: "question",
    aggregate: "max",
    allocate: "uniform",
    select: "topk",
    compensate: "drop",
    recall: "none",
    decode: "keep",
  },
  document: { sources: [{ name: "a", type: "text", bytes: 1, tokens: 30_112 }], tokens: 30_112 },
  kv: {
    budgetSlots: 1024,
    capacitySlots: 1806,
    bytes: 84_520_800,
    compactions: 57,
    peakLiveSlots: 1536,
    evictedSlots: 29_100,
    decodeBudgetSlots: 512,
    evictedWrittenSlots: 40,
    positions: "compact",
    coverage: Array<number>(10).fill(0.1),
  },
  passages: [],
  timing: {
    loadMs: 400,
    prefillTokens: 30_150,
    prefillMs: 25_000,
    policyMs: 2000,
    decodeTokens: 40,
    decodeMs: 500,
    peakRssBytes: 500_000_000,
  },
};
