/**
 * One measurement of llama.cpp in a process of its own: `node run.mjs JOB.json`, the result as JSON on stdout.
 * JavaScript for Node, because that is what node-llama-cpp supports. Same clock readings as `bench/ours.ts`.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** @type {import("./child.ts").Job} */
const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const ids = JSON.parse(readFileSync(job.ids, "utf8"));
if (ids.length !== job.promptTokens) throw new Error(`the prompt has ${ids.length} tokens, not ${job.promptTokens}`);

// The prebuilt CPU library of the package, never a build or a download. maxThreads 0: contexts get exactly the threads
// they ask for.
const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  progressLogs: false,
  logLevel: LlamaLogLevel.error,
  maxThreads: 0,
});
const model = await llama.loadModel({ modelPath: job.model, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Math.ceil((ids.length + job.written.length + 1) / 256) * 256,
  batchSize: job.batch,
  flashAttention: job.flash,
  threads: job.threads,
  sequences: 1,
});
if (context.contextSize < ids.length + job.written.length) {
  throw new Error(`a context of ${context.contextSize} is too small`);
}
if (context.flashAttention !== job.flash) {
  throw new Error(`flash attention is ${context.flashAttention}, not ${job.flash}`);
}
const sequence = context.getSequence();
const readyMs = performance.now();

// The first token comes after the prefill. What the model would write (greedily) is replaced by what is to be written.
const moments = [];
const generator = sequence.evaluate(ids, { temperature: 0, yieldEogToken: true });
while (moments.length < job.written.length) {
  const { done } = await generator.next(job.written[moments.length - 1]);
  if (done) throw new Error(`only ${moments.length} tokens were written`);
  moments.push(performance.now() - readyMs);
}
if (context.currentThreads !== job.threads) {
  throw new Error(`${context.currentThreads} threads were used, not ${job.threads}`);
}

const result = {
  promptTokens: ids.length,
  prefillTokens: ids.length,
  readyMs,
  prefillMs: moments[0],
  policyShare: null,
  answerMs: moments[job.answerTokens - 1],
  decodeSteps: moments.length - 1,
  decodeMs: moments.at(-1) - moments[0],
  peakRssBytes: peakRssBytes(),
  cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  details: {
    contextSize: context.contextSize,
    batchSize: context.batchSize,
    flashAttention: context.flashAttention,
    threads: context.currentThreads,
    llamaCpp: llama.llamaCppRelease.release,
    buildType: llama.buildType,
    systemInfo: llama.systemInfo,
  },
};
// Exits at once: a clean shutdown of the library is no part of the measurement.
process.stdout.write(JSON.stringify(result), () => process.exit(0));

/** The kernel's high-water mark of this program alone, as in `cli/host.ts`. */
function peakRssBytes() {
  try {
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
