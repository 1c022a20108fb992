/** Runs `printAnswer` on made-up events, for tests of the two streams: `bun fake_answer.ts '{"json":true,...}'`. */
import process from "node:process";
import { createRenderer } from "../../cli/render.ts";
import { printAnswer } from "../../cli/run.ts";
import type { AnswerEvent } from "../../core/record.ts";

const flags = JSON.parse(process.argv[2] ?? "{}");

async function* events(): AsyncGenerator<AnswerEvent> {
  yield { type: "warning", message: "3 bytes were replaced \x1b[2J" };
  for (let done = 512; done <= 2048; done += 512) {
    await new Promise((then) => setTimeout(then, 120));
    yield { type: "progress", phase: "prefill", done, total: 2048, liveSlots: Math.min(done, 1024), budgetSlots: 1024 };
  }
  yield { type: "text", text: "The door is " };
  yield { type: "progress", phase: "decode", done: 1, liveSlots: 1024, budgetSlots: 1024 };
  yield { type: "text", text: "green\x1b]0;owned\x07." };
  if (flags.fail) throw new Error("the device went away");
  yield {
    type: "result",
    record: {
      schema: "palimpsest.answer/1",
      command: "ask",
      answer: "The door is green\x1b]0;owned\x07.",
      finish: "stop",
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
      document: { sources: [{ name: "a", type: "text", bytes: 8192, tokens: 2000 }], tokens: 2000 },
      kv: {
        budgetSlots: 1024,
        capacitySlots: 1536,
        bytes: 1 << 26,
        compactions: 2,
        peakLiveSlots: 1536,
        evictedSlots: 1024,
        decodeBudgetSlots: null,
        evictedWrittenSlots: 0,
        positions: "original",
        coverage: Array<number>(10).fill(0.1),
      },
      passages: [],
      timing: {
        loadMs: 1,
        prefillTokens: 2048,
        prefillMs: 480,
        policyMs: 5,
        decodeTokens: 8,
        decodeMs: 10,
        peakRssBytes: 1 << 28,
      },
    },
  };
}

await printAnswer(events(), createRenderer(flags), flags.json ?? false);
