/** Reads a document once, keeps the memory in a file, and answers questions from it: read_once.ts MODEL DOCUMENT STATE QUESTION... */
import { createReadStream } from "node:fs";
import process from "node:process";
import {
  bookmark,
  openKeptMemory,
  openModel,
  openState,
  PalimpsestError,
  read,
  respond,
  restoreMemory,
  saveMemory,
} from "../mod.ts";
import { cacheFolder } from "../cli/folders.ts";
import { availableBytes, files, peakRssBytes } from "../cli/host.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import { loadOnnxRuntimeWeb } from "../cli/runtimes/wasm.ts";

const [path, document, state, ...questions] = process.argv.slice(2) as [string, string, string, ...string[]];
const policy = "kvzip-quote"; // questions are not known while it reads

try {
  const model = await openModel({
    path,
    device: "auto",
    cacheFolder: cacheFolder(),
    files,
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeWeb },
    policy,
  });
  try {
    {
      using memory = await openKeptMemory(model, {
        policy,
        budget: { slots: 256 },
        positions: "auto",
        availableBytes: availableBytes(),
      });
      const signal = AbortSignal.timeout(3_600_000);
      for await (const event of read(memory, [{ name: document, chunks: createReadStream(document) }], { signal })) {
        if (event.type === "warning") console.error(event.message);
      }
      await saveMemory(files, state, memory);
    }

    const file = await openState(files, state); // on another day
    using memory = await restoreMemory(model, file, { availableBytes: availableBytes() });
    await file.close();
    for (const instruction of questions) {
      const forget = bookmark(memory.reader); // each question as if it were the only one
      for await (
        const event of respond(memory, { command: "ask", instruction, maxTokens: 16, cite: true, peakRssBytes })
      ) {
        if (event.type !== "result") continue;
        console.log(
          JSON.stringify({ question: instruction, answer: event.record.answer, cited: event.record.citations?.length }),
        );
      }
      forget();
    }
  } finally {
    await model.close();
  }
} catch (error) {
  if (!(error instanceof PalimpsestError)) throw error;
  console.error(error.message); // one sentence; error.code is the command line's exit code
  process.exitCode = error.code;
}
