/** Strategies with a model of random weights: what is read, written and told; what they find is measured by `eval`. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import { answer, type AnswerEvent, type AnswerRecord, type AnswerRequest, openModel, type Source } from "../mod.ts";
import { eachTime } from "../core/text/document.ts";
import { files, fixture } from "./host.ts";

const folder = mkdtempSync(join(tmpdir(), "palimpsest-strategy-"));
const model = await openModel({
  path: fixture("gguf/llama.f32.gguf"),
  device: "cpu",
  threads: 1,
  cacheFolder: folder,
  files,
  policy: "question-quote",
  runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
});
after(async () => {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

const text = "The fox jumps over the dog. ".repeat(12) + "The parrot of the keeper is called Bosco. " +
  "The fox sleeps. ".repeat(12);
let readings = 0;
const source = (content = text): Source => ({
  name: "a.txt",
  repeatable: true,
  chunks: eachTime(async function* () {
    readings++;
    yield new TextEncoder().encode(content);
  }),
});

async function run(some: Partial<AnswerRequest>): Promise<{ record: AnswerRecord; events: AnswerEvent[] }> {
  const events: AnswerEvent[] = [];
  const request: AnswerRequest = {
    command: "ask",
    sources: [source()],
    instruction: "What is the parrot called?",
    policy: "question-quote",
    budget: { slots: 100 },
    chunkTokens: 64,
    positions: "auto",
    maxTokens: 12,
    availableBytes: 1e9,
    strict: false,
    peakRssBytes: () => 0,
    ...some,
  };
  for await (const event of answer(model, request)) events.push(event);
  const result = events.at(-1)!;
  assert.ok(result.type === "result");
  return { record: result.record, events };
}
const textOf = (events: AnswerEvent[]) =>
  events.map((event) => event.type === "text" ? event.text : "").join("").trim();

test("stream+verify: the first answer is told apart, and the passages of the second are the document's", async () => {
  const stream = (await run({})).record;
  assert.deepEqual([stream.strategy, stream.draft, stream.parts], ["stream", undefined, undefined]);
  const { record, events } = await run({ strategy: "stream+verify" });
  assert.equal(record.strategy, "stream+verify");
  assert.equal(record.draft, stream.answer, "the first answer is what stream answers");
  assert.equal(record.answer, textOf(events), "only the second answer is shown");
  assert.ok(record.passages.some(({ text }) => text.includes("parrot of the keeper is called Bosco")));
  assert.equal(record.kv.compactions, stream.kv.compactions);
});

test("stream+verify: nothing is looked up where nothing was evicted, and the answer is stream's", async () => {
  const small = { sources: [source("The parrot is called Bosco.")] };
  const [stream, verified] = [await run(small), await run({ ...small, strategy: "stream+verify" })];
  assert.deepEqual([verified.record.draft, verified.record.passages], [undefined, []]);
  assert.equal(verified.record.answer, stream.record.answer);
});

test("stream+verify: the same every time, and the memory is of the size that was told", async () => {
  const [one, two] = [await run({ strategy: "stream+verify" }), await run({ strategy: "stream+verify" })];
  assert.equal(one.record.answer, two.record.answer);
  assert.ok(one.record.kv.peakLiveSlots <= one.record.kv.capacitySlots);
});

test("stream+verify: what can be read only once is refused before it is read", async () => {
  const { repeatable: _, ...once } = source(), before = readings;
  await assert.rejects(run({ strategy: "stream+verify", sources: [{ ...once, name: "stdin" }] }), {
    name: "UsageError",
    message: /stdin can be read only once/,
  });
  assert.equal(readings, before);
});

test("map-reduce: every part is read once with nothing evicted, and their answers become one", async () => {
  const { record, events } = await run({ strategy: "map-reduce" });
  assert.equal(record.strategy, "map-reduce");
  assert.equal(record.policy.name, "full");
  assert.ok(record.parts! > 3, `${record.parts} parts`);
  assert.deepEqual([record.kv.compactions, record.kv.evictedSlots], [0, 0]);
  assert.equal(record.answer, textOf(events));
  const done = events.flatMap((event) => event.type === "progress" && event.phase === "prefill" ? [event.done] : []);
  assert.deepEqual(done, done.toSorted((a, b) => a - b), "progress goes on from part to part");
  assert.ok(record.timing.prefillTokens > record.document.tokens);
  assert.equal(record.document.sources[0]!.tokens, record.document.tokens);
});

test("map-reduce: a document that fits is answered as by stream", async () => {
  const small = { sources: [source("The parrot is called Bosco.")], policy: "full" };
  const [stream, mapped] = [await run(small), await run({ ...small, strategy: "map-reduce" })];
  assert.equal(mapped.record.parts, 1);
  assert.equal(mapped.record.answer, stream.record.answer);
});

test("map-reduce: it comes to an end under the smallest budget, and cites from the documents", async () => {
  const { record } = await run({ strategy: "map-reduce", budget: { slots: 64 }, maxTokens: 64, cite: true });
  assert.ok(record.parts! > 5);
  assert.ok(record.citations!.some(({ text }) => text.includes("Bosco")));
});

test("cite: a policy that remembers no text cites from documents that can be read again, and else is refused", async () => {
  const { record } = await run({ policy: "question", cite: true });
  assert.ok(record.citations!.some(({ text }) => text.includes("Bosco")));
  const { repeatable: _, ...once } = source();
  await assert.rejects(run({ policy: "question", cite: true, sources: [once] }), { name: "UsageError" });
});

test("strategies end where the signal says so", async () => {
  for (const strategy of ["stream+verify", "map-reduce"] as const) {
    await assert.rejects(run({ strategy, signal: AbortSignal.abort() }), { name: "InterruptedError" });
  }
});
