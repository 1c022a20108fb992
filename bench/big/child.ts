/** `prepare` or `open` of a model in a process of its own; `open` also writes a few tokens. Prints one line of JSON. */
import process from "node:process";
import { availableBytes, collectGarbage, files, peakRssBytes } from "../../cli/host.ts";
import { loadOnnxRuntimeNode } from "../../cli/runtimes/native.ts";
import { openModelFile } from "../../core/engine/open.ts";
import { prepare } from "../../core/engine/prepare.ts";
import { featuresFor } from "../../core/policy.ts";
import { answer, openModel, parsePolicy } from "../../mod.ts";

/** What the parent asks for, as JSON. */
export interface BigJob {
  step: "prepare" | "open";
  path: string;
  sha256: string;
  cacheFolder: string;
  threads: number;
  tokens: number;
}

export interface BigResult {
  /** Until weights and graph were written, or the model was open. */
  ms: number;
  /** Peak when the model was open, and at the end. */
  openPeakBytes: number;
  peakBytes: number;
  /** Tokens read and written, and the time of each written one. */
  read: number;
  written: number;
  tokenMs: number;
  text: string;
}

const job: BigJob = JSON.parse(process.argv[2]!), policy = "snapkv", started = performance.now();
const result = job.step === "prepare" ? await prepared() : await opened();
process.stdout.write(JSON.stringify({ ...result, peakBytes: peakRssBytes() } satisfies BigResult));

async function prepared() {
  const model = await openModelFile(files, job.path), features = featuresFor(parsePolicy(policy));
  await prepare(files, files.join(job.cacheFolder, "graphs", job.sha256.slice(0, 16)), model, "blocks", features);
  await model.close();
  return { ms: performance.now() - started, openPeakBytes: 0, read: 0, written: 0, tokenMs: 0, text: "" };
}

async function opened() {
  const model = await openModel({
    path: job.path,
    sha256: job.sha256,
    device: "cpu",
    threads: job.threads,
    cacheFolder: job.cacheFolder,
    files,
    policy,
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
  });
  const ms = performance.now() - started, openPeakBytes = peakRssBytes();
  const text = new TextEncoder().encode("The weights of this model are random, and so are its words. ");
  const events = answer(model, {
    command: "ask",
    sources: [{
      name: "text",
      size: text.length,
      chunks: (async function* () {
        await Promise.resolve();
        yield text;
      })(),
    }],
    instruction: "What?",
    policy,
    budget: { slots: 256 },
    positions: "auto",
    maxTokens: job.tokens,
    ignoreStops: true,
    strict: false,
    availableBytes: availableBytes(),
    peakRssBytes,
    collectGarbage,
  });
  for await (const event of events) {
    if (event.type !== "result") continue;
    const { timing, answer: text } = event.record;
    await model.close();
    const { prefillTokens, decodeTokens, decodeMs } = timing;
    return { ms, openPeakBytes, read: prefillTokens, written: decodeTokens, tokenMs: decodeMs / decodeTokens, text };
  }
  throw new Error("There was no answer");
}
