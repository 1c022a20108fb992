/** One question about one document: ask.ts MODEL DOCUMENT QUESTION. */
import process from "node:process";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { answer, openModel, PalimpsestError } from "../mod.ts";
import { cacheFolder } from "../cli/folders.ts";
import { availableBytes, files, peakRssBytes } from "../cli/host.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import { loadOnnxRuntimeWeb } from "../cli/runtimes/wasm.ts";

const [modelPath, documentPath, question] = process.argv.slice(2) as [string, string, string];
const policy = "question"; // the model is opened for one policy, which decides what the graph gives

try {
  const model = await openModel({
    path: modelPath, // a .gguf file (palimpsest models path smollm2-135m), or a folder with safetensors weights
    device: "auto",
    cacheFolder: cacheFolder(), // weights prepared for ONNX Runtime are kept here
    files,
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeWeb },
    policy,
    onWarning: console.error,
  });
  try {
    const events = answer(model, {
      command: "ask",
      sources: [{
        name: documentPath,
        size: (await stat(documentPath)).size, // leave it out for a stream
        chunks: createReadStream(documentPath), // any AsyncIterable<Uint8Array>
      }],
      instruction: question,
      policy, // the one that the model was opened with
      budget: { slots: 1024 }, // or { bytes: 64 * 2 ** 20 }, or null for the default
      chunkTokens: 512,
      positions: "auto",
      maxTokens: 256,
      strict: false,
      availableBytes: availableBytes(),
      peakRssBytes,
    });
    for await (const event of events) {
      if (event.type === "text") process.stdout.write(event.text);
      if (event.type === "warning") console.error(event.message);
      if (event.type === "result") {
        const { kv, document } = event.record; // what --json prints
        console.log(`\n${document.tokens} tokens read, ${kv.evictedSlots} slots per head evicted`);
      }
    }
  } finally {
    await model.close();
  }
} catch (error) {
  if (!(error instanceof PalimpsestError)) throw error;
  console.error(error.message); // one sentence; error.code is the command line's exit code
  process.exitCode = error.code;
}
