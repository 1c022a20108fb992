/**
 * One measurement of Palimpsest in a process of its own: `bun ours.ts JOB.json`, the result as JSON on stdout. It is
 * the library's whole way from the document's bytes to the answer, tokenising included. Same clock readings as
 * `bench/llama/run.mjs`.
 */
import { createReadStream, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { availableBytes, collectGarbage, files, peakRssBytes } from "../cli/host.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import type { Engine } from "../core/engine/engine.ts";
import { Reader } from "../core/reader.ts";
import { answer, type AnswerRecord, defaultPolicies, openModel } from "../mod.ts";
import type { Job, Result } from "./llama/child.ts";

const job: Job = JSON.parse(readFileSync(process.argv[2]!, "utf8"));
const policy = defaultPolicies.ask;
const opened = await openModel({
  path: job.model,
  device: "cpu",
  threads: job.threads,
  cacheFolder: job.cacheFolder,
  files,
  policy,
  runtimes: { native: loadOnnxRuntimeNode, wasm: () => Promise.reject(new Error("only the CPU build is measured")) },
});
let next = 0;
// The token that is to be written wins, whatever the model thinks.
const engine: Engine = {
  config: opened.engine.config,
  device: opened.engine.device,
  features: opened.engine.features,
  packs: opened.engine.packs,
  async pass(cache, pass) {
    const result = await opened.engine.pass(cache, pass);
    if (pass.logitsRows) result.logits![job.written[next++]!] = Infinity;
    return result;
  },
  dense: (name, write) => opened.engine.dense(name, write),
  close: () => opened.engine.close(),
};
const readyMs = performance.now();

const moments: number[] = [];
let record: AnswerRecord | undefined;
const openReading: typeof opened.openReading = (policy, options) => new Reader(engine, policy, options);
const events = answer({ ...opened, openReading }, {
  command: "ask",
  sources: [{ name: job.document, size: statSync(job.document).size, chunks: createReadStream(job.document) }],
  instruction: job.question,
  policy,
  budget: { slots: job.budget },
  chunkTokens: job.chunk,
  positions: "auto",
  maxTokens: job.written.length,
  ignoreStops: true,
  strict: false,
  availableBytes: availableBytes(),
  peakRssBytes,
  collectGarbage,
});
for await (const event of events) {
  if (event.type === "progress" && event.phase === "decode") moments.push(performance.now() - readyMs);
  if (event.type === "result") record = event.record;
}
if (!record || moments.length !== job.written.length) {
  throw new Error(`${moments.length} of ${job.written.length} tokens were written`);
}

const { timing, kv, document } = record;
if (document.tokens !== job.documentTokens) {
  throw new Error(`the document has ${document.tokens} tokens, not ${job.documentTokens}`);
}
const result: Result = {
  promptTokens: job.promptTokens,
  readyMs,
  prefillMs: moments[0]!,
  prefillTokens: timing.prefillTokens,
  policyShare: timing.policyMs / timing.prefillMs,
  answerMs: moments[job.answerTokens - 1]!,
  decodeSteps: moments.length - 1,
  decodeMs: moments.at(-1)! - moments[0]!,
  peakRssBytes: peakRssBytes(),
  cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  details: { kv, timing, sha256: record.model.sha256 },
};
process.stdout.write(JSON.stringify(result), () => process.exit(0));
