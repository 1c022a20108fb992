/**
 * What llama.cpp writes greedily: `node greedy.mjs JOB.json`, the ids as JSON on stdout. JavaScript for Node, as `run.mjs`.
 * Keys and values are stored in f32, so that nothing is rounded that the model's own file does not round.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** @type {import("../greedy.ts").Job} */
const { model: modelPath, prompts, tokens, threads } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const logLevel = LlamaLogLevel.error;
const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const answers = [];
for (const ids of prompts) {
  const context = await model.createContext({
    contextSize: Math.ceil((ids.length + tokens + 1) / 256) * 256,
    batchSize: 512,
    flashAttention: false,
    threads,
    sequences: 1,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  const written = [], generator = context.getSequence().evaluate(ids, { temperature: 0, yieldEogToken: true });
  while (written.length < tokens) {
    const { done, value } = await generator.next();
    if (done) break;
    written.push(value);
  }
  answers.push(written);
  await context.dispose();
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
