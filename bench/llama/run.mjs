/**
 * One measurement of llama.cpp in a process of its own: `node run.mjs JOB.json`, the result as JSON on stdout. JavaScript for Node, because that is
 * what node-llama-cpp supports. Same clock readings as `bench/ours.ts`.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** @type {{ model: string, ids: string, threads: number, batch: number, flash: boolean, answerTokens: number, decodeTokens: number }} */
const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const ids = JSON.parse(readFileSync(job.ids, "utf8"));

// The prebuilt CPU library of the package, never a build or a download. maxThreads 0: contexts get exactly the threads they ask for.
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
  contextSize: Math.ceil((ids.length + job.decodeTokens + 1) / 256) * 256,
  batchSize: job.batch,
  flashAttention: job.flash,
  threads: job.threads,
  sequences: 1,
});
if (context.contextSize < ids.length + job.decodeTokens) {
  throw new Error(`a context of ${context.contextSize} is too small`);
}
if (context.flashAttention !== job.flash) {
  throw new Error(`flash attention is ${context.flashAttention}, not ${job.flash}`);
}
const sequence = context.getSequence();
const readyMs = performance.now();

// The first token comes after the prefill; a token that would end the answer is one like any other here, so that all runs write as many.
const moments = [];
const tokens = [];
for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
  moments.push(performance.now() - readyMs);
  tokens.push(token);
  if (tokens.length === job.decodeTokens) break;
}
if (tokens.length < job.decodeTokens) throw new Error(`only ${tokens.length} tokens were written`);
if (context.currentThreads !== job.threads) {
  throw new Error(`${context.currentThreads} threads were used, not ${job.threads}`);
}

const result = {
  promptTokens: ids.length,
  readyMs,
  prefillMs: moments[0],
  policyShare: null,
  answerMs: moments[job.answerTokens - 1],
  decodeSteps: tokens.length - 1,
  decodeMs: moments.at(-1) - moments[0],
  peakRssBytes: peakRssBytes(),
  cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  text: model.detokenize(tokens.slice(0, job.answerTokens)),
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
