/** Runs `printAnswer` on made-up events, for tests of the two streams: `bun fake_answer.ts '{"json":true,...}'`. */
import process from "node:process";
import { createRenderer } from "../../cli/render.ts";
import { printAnswer } from "../../cli/run.ts";
import type { AnswerEvent } from "../../core/record.ts";
import { record } from "./answer_record.ts";

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
  yield { type: "status", message: "looking for where it came from" };
  yield {
    type: "result",
    record: { ...record, answer: "The door is green\x1b]0;owned\x07.", finish: "stop" },
  };
}

await printAnswer(events(), createRenderer(flags), flags.json ?? false);
