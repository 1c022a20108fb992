/**
 * One measurement of Palimpsest in a process of its own: `bun ours.ts JOB.json`, the result as JSON on stdout. It is the library's whole way from the
 * document's bytes to the answer, tokenising included. Same clock readings as `bench/llama/run.mjs`.
 */
import { createReadStream, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { availableBytes, files, peakRssBytes } from "../cli/host.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import type { Job, Result } from "./llama/child.ts";
import { answer, type AnswerRecord, openModel } from "../mod.ts";

const job: Job = JSON.parse(readFileSync(process.argv[2]!, "utf8"));
const policy = "question";
const opened = await openModel({
  path: job.model,
  device: "cpu",
  threads: job.threads,
  cacheFolder: job.cacheFolder,
  files,
  policy,
  runtimes: { native: loadOnnxRuntimeNode, wasm: () => Promise.reject(new Error("only the CPU build is measured")) },
});
// A token that would end the answer is one like any other here, so that all runs write as many.
const model = { ...opened, tokenizer: { ...opened.tokenizer, stopIds: new Set<number>() } };
const readyMs = performance.now();

const moments: number[] = [];
let text = "", record: AnswerRecord | undefined;
const events = answer(model, {
  command: "ask",
  sources: [{ name: job.document, size: statSync(job.document).size, chunks: createReadStream(job.document) }],
  instruction: job.question,
  policy,
  budget: { slots: job.budget },
  chunkTokens: job.chunk,
  positions: "auto",
  maxTokens: job.decodeTokens,
  strict: false,
  availableBytes: availableBytes(),
  peakRssBytes,
});
for await (const event of events) {
  if (event.type === "progress" && event.phase === "decode") moments.push(performance.now() - readyMs);
  if (event.type === "text" && moments.length < job.answerTokens) text += event.text;
  if (event.type === "result") record = event.record;
}
if (!record || moments.length !== job.decodeTokens) {
  throw new Error(`${moments.length} of ${job.decodeTokens} tokens were written`);
}

const { timing, kv } = record;
const result: Result = {
  promptTokens: timing.prefillTokens,
  readyMs,
  prefillMs: moments[0]!,
  policyShare: timing.policyMs / timing.prefillMs,
  answerMs: moments[job.answerTokens - 1]!,
  decodeSteps: moments.length - 1,
  decodeMs: moments.at(-1)! - moments[0]!,
  peakRssBytes: peakRssBytes(),
  cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  text,
  details: { ...kv, documentTokens: record.document.tokens, policyMs: timing.policyMs, sha256: record.model.sha256 },
};
process.stdout.write(JSON.stringify(result), () => process.exit(0));
