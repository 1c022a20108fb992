/**
 * What `plan` says of a GPU's memory against what a reading takes, everything of ONNX Runtime's included: `createBuffer` and `destroy` of the device are
 * counted. A process of its own, as JSON (`planned_test.ts` starts it): the golden Llama as a GGUF file, opened as `ask` opens it, several policies, each
 * `policy` or `policy@f16`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { files } from "../host.ts";
import { fixture } from "../host.ts";
import { loadWebGpu } from "../../cli/runtimes/webgpu.ts";
import { loadOnnxRuntimeWebGpu } from "../../cli/runtimes/webgpu_onnx.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import { openModel } from "../../core/model.ts";
import { parsePolicy } from "../../core/policies.ts";
import { DECODE_BLOCK } from "../../core/decode/evict.ts";
import { deviceMemory } from "../../kernels/reading/device_memory.ts";
import { gpuOpener } from "../../kernels/reading/open.ts";
import { fakeTokenizer, tokens } from "../tiny_llama.ts";
import { leastBudget } from "../../core/policy.ts";
import { watched } from "./watched.ts";

const CHUNK = 64, CHUNKS = 10, LAST = 41, QUESTION = 12, WRITTEN = 40, DECODE_BUDGET = 16;
const asked = process.argv.slice(2), specs = asked.filter((word) => !word.endsWith(".gguf"));
const path = asked.find((word) => word.endsWith(".gguf")) ?? fixture("gguf/llama.q8_0.gguf"),
  folder = await mkdtemp(join(tmpdir(), "palimpsest-planned-"));
const nothing = () => Promise.reject(new Error("not wanted"));

for (const word of specs) {
  const [spec, type = "f32"] = word.split("@") as [string, StoredType?];
  const policy = parsePolicy(spec), slots = Math.max(200, leastBudget(policy) + 20), { evicts } = policy.decode;
  const decodeBudget = evicts ? DECODE_BUDGET : Infinity,
    reserve = QUESTION + (evicts ? DECODE_BUDGET + DECODE_BLOCK : WRITTEN);
  const sizes = { slots, chunkTokens: CHUNK, reserve, decodeBudget };
  const file = await openGguf(await files.open(path)), read = (CHUNKS - 1) * CHUNK + LAST;
  const planned = await deviceMemory(
    file,
    policy,
    sizes,
    { tokens: read, question: QUESTION, tail: QUESTION },
    false,
    type,
  );
  await file.close();

  const adapter = (await (await loadWebGpu()).requestAdapter())!, memory = watched(adapter);
  const runtime = { adapters: () => Promise.resolve([adapter]), onnx: loadOnnxRuntimeWebGpu };
  const model = await openModel({
    path,
    device: "webgpu",
    policy: spec,
    files,
    cacheFolder: folder,
    gpu: () => Promise.resolve(gpuOpener(runtime, { allowSoftware: true, kvType: type })),
    runtimes: { native: nothing, wasm: nothing },
  });
  const opened = { current: memory.current, peak: memory.peak };
  const { capacity, bytes } = (await model.allocation(policy, sizes))(slots);
  const held: number[] = [];
  {
    using reading = await model.openReading(policy, {
      budget: { slots, capacity, bytes, clampedFrom: null },
      chunkTokens: CHUNK,
      reserve,
      positions: "compact",
      questionTokens: tokens(QUESTION, 9),
      answerTokens: tokens(5, 4),
      tokenizer: fakeTokenizer,
      decodeBudget,
    });
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      await reading.read(tokens(chunk === CHUNKS - 1 ? LAST : CHUNK, 1 + chunk));
      held.push(memory.current);
    }
    await reading.coverage(0);
    await reading.recall(tokens(QUESTION, 9), { first: 0, end: reading.tokensRead });
    let token = await reading.likeliestAfter(tokens(QUESTION, 9));
    for (let i = 0; i < WRITTEN; i++) token = await reading.likeliestNext(token);
    console.log(JSON.stringify({
      policy: word,
      kvType: reading.kvType,
      planned,
      peak: memory.peak,
      opened,
      kv: { planned: bytes, met: reading.kvBytes },
      held,
      compactions: reading.compactions,
      evictedWritten: reading.evictedWritten,
    }));
  }
  await model.close();
}
await rm(folder, { recursive: true, force: true });
process.exit(0);
