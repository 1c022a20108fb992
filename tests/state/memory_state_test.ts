/** Memories as files: what made them must be what reads them. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadOnnxRuntimeNode } from "../../cli/runtimes/native.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import { fingerprint } from "../../core/pack/fingerprint.ts";
import {
  type KeptMemory,
  openKeptMemory,
  openModel,
  openState,
  read,
  respond,
  restoreMemory,
  saveMemory,
} from "../../mod.ts";
import { safetensorsBytes } from "../engine/safetensors_bytes.ts";
import { files, fixture, memoryFile } from "../host.ts";
import { packMetadata, packTensors } from "../packs.ts";

const path = fixture("gguf/llama.q8_0.gguf"), folder = await mkdtemp(join(tmpdir(), "palimpsest-memory-"));

async function open(seed: number) {
  const model = await openGguf(await files.open(path)), wanted = await fingerprint(model);
  const bytes = safetensorsBytes(packTensors.indexmem(model.config), {
    ...packMetadata("indexmem"),
    fingerprint: wanted,
    seed: String(seed),
  });
  await model.close();
  return await openModel({
    path,
    device: "cpu",
    threads: 1,
    cacheFolder: folder,
    files,
    policy: "indexmem",
    packs: () => Promise.resolve([memoryFile(bytes, `pack${seed}.safetensors`)]),
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
  });
}

async function answerOf(memory: KeptMemory): Promise<string> {
  for await (
    const event of respond(memory, {
      command: "ask",
      instruction: "Why?",
      maxTokens: 8,
      peakRssBytes: () => 0,
    })
  ) {
    if (event.type === "result") return event.record.answer;
  }
  throw new Error("No result");
}

describe("memories in files", () => {
  after(() => rm(folder, { recursive: true, force: true }));

  test("one of a learned policy is read with the pack that it was made with, and no other", async () => {
    const [mine, other] = [await open(1), await open(2)], state = join(folder, "learned.pal");
    using memory = await openKeptMemory(mine, {
      policy: "indexmem",
      budget: { slots: 64 },
      chunkTokens: 32,
      positions: "auto",
      availableBytes: 1e9,
    });
    const chunks = (async function* () {
      yield new TextEncoder().encode("The harbour keeps two cranes and a lighthouse. ".repeat(12));
    })();
    for await (const _ of read(memory, [{ name: "d.txt", chunks }])) { /* it reads */ }
    assert.ok(memory.reader.compactions > 0);
    await saveMemory(files, state, memory);
    const file = await openState(files, state);
    using restored = await restoreMemory(mine, file, { availableBytes: 1e9 });
    assert.equal(await answerOf(restored), await answerOf(memory));
    await assert.rejects(restoreMemory(other, file, { availableBytes: 1e9 }), {
      name: "ModelError",
      message: /made with another pack of indexmem/,
    });
    await file.close();
    await mine.close();
    await other.close();
  });
});
