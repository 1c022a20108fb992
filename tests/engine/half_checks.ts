/** What the engine must do whose cache stores half precision, on a GPU that has it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as runtime from "onnxruntime-web/webgpu";
import { loadWebGpu } from "../../cli/runtimes/webgpu.ts";
import { argmax } from "../../core/decode/write.ts";
import { AttentionError, attentionSelfTest } from "../../core/engine/attention_self_test.ts";
import type { OnnxRuntime } from "../../core/engine/cpu.ts";
import type { KvType } from "../../core/stored_rows.ts";
import { openModel } from "../../core/model.ts";
import { parsePolicy } from "../../core/policies.ts";
import type { DeviceMemory } from "../../kernels/device/memory.ts";
import { gpuOpener } from "../../kernels/reading/open.ts";
import type { KvTypeWish } from "../../kernels/reading/plan.ts";
import { cacheFor, forward } from "../golden/forward.ts";
import { type Check, close, equal } from "../golden/report.ts";
import { files, fixture } from "../host.ts";
import { fakeTokenizer } from "../tiny_llama.ts";
import { continues, folderOf, goldenOf, greedy, known } from "./gpu_checks.ts";
import { forwardGpu, gpuCache, usingGpu } from "./gpu_open.ts";

/** Keys, values and attention's result are rounded to 11 bits in every layer; the logits of these models are up to 12. */
const LOGITS = 6e-2;
/** Rows of a prompt whose likeliest token is the CPU's, those with a tie included. */
const AGREED = 0.95;

export const halfChecks: Record<string, (device: GPUDevice, memory: DeviceMemory) => Promise<Check[]>> = {};

for (const model of known) {
  // frequencies and tied embeddings are attention's business no more; of the others each has one kind of slots
  if (model === "llama3rope") continue;
  const logBias = model !== "llama";
  halfChecks[`half precision, ${model}, ${logBias ? "slots with a bias" : "plain slots"}`] = async (
    device,
    memory,
  ) => {
    const { golden, arrays } = await goldenOf(model), ids: number[] = golden.prompt_ids;
    return await usingGpu(device, folderOf(model), { features: { logBias, kvType: "f16" } }, async (opened) => {
      const { engine, cpu } = opened, { vocab, kvHeads, headDim } = engine.config, before = memory.current;
      const cache = gpuCache(engine, ids.length + 20), bytes = memory.current - before;
      const logits = await forwardGpu(engine, cache, ids, { sizes: [1, 64, 7, 100, 65, 33], logitsRows: ids.length });
      const plain = await forward(cpu, cacheFor(cpu, ids.length), ids, { logitsRows: ids.length });
      const likeliest = (all: Float32Array) => ids.map((_, i) => argmax(all.subarray(i * vocab, (i + 1) * vocab)));
      const mine = likeliest(logits), theirs = likeliest(plain.logits);
      const agreed = mine.filter((id, i) => id === theirs[i]).length / ids.length;
      const written = await greedy(
        golden.greedy_ids.length,
        logits.subarray((ids.length - 1) * vocab),
        (token, i) => forwardGpu(engine, cache, [token], { firstPosition: ids.length + i }),
      );
      const { heads, capacity, slotDim, sliding } = cache, beside = sliding?.bytes ?? 0;
      const slidingRow = sliding && sliding.keys[0]!.size / sliding.capacity;
      cache.close();
      return [
        equal("bytes of a number", [(bytes - beside) / (heads * capacity * slotDim * 2)], [2]),
        ...(slidingRow ? [equal("bytes of a sliding row", [slidingRow], [2 * kvHeads * headDim])] : []),
        close("logits_last8", logits.subarray((ids.length - 8) * vocab), arrays.data("logits_last8"), LOGITS),
        { ok: agreed >= AGREED, text: `likeliest tokens as the CPU's: ${agreed}` },
        equal("greedy_ids", written, golden.greedy_ids),
        ...await continues(engine, cpu, ids.slice(0, 200), logBias, LOGITS),
      ];
    });
  };
}

/** ONNX Runtime whose attention in half precision gives zeros, as f16 once did without a word. */
const zeros: OnnxRuntime = {
  ...runtime,
  InferenceSession: {
    async create(model: Uint8Array, options: object) {
      const session = await runtime.InferenceSession.create(model, options), run = session.run.bind(session);
      session.run = (async (feeds: Record<string, runtime.Tensor>, ...more: [never]) => {
        const results = await run(feeds, ...more);
        if (feeds["past.k"]?.type !== "float16") return results;
        const { dims, size } = results["out"]!;
        return { out: new runtime.Tensor("float16", new Uint16Array(size), dims) };
      }) as typeof session.run;
      return session;
    },
  },
} as unknown as OnnxRuntime;

halfChecks["half precision: the attention self-test"] = async (device) => {
  const test = (of: OnnxRuntime, type: KvType) =>
    attentionSelfTest(of, device, 64, 3, type).then(() => "", (error) => {
      if (!(error instanceof AttentionError)) throw error;
      return error.message;
    });
  return [
    equal("refusals", [Number((await test(runtime, "f16")) !== "")], [0]),
    equal("refusals of f32 where only f16 is wrong", [Number((await test(zeros, "f32")) !== "")], [0]),
    { ok: /in f16 is wrong .* row 0 of 70 gave 0,/.test(await test(zeros, "f16")), text: "zeros are found" },
  ];
};

halfChecks["half precision: what a model is opened with"] = async () => {
  const folder = await mkdtemp(join(tmpdir(), "palimpsest-half-")), policy = parsePolicy("snapkv");
  const nothing = () => Promise.reject(new Error("not wanted"));
  const opened = async (onnx: OnnxRuntime, kvType?: KvTypeWish): Promise<string> => {
    const adapters = async () => [(await (await loadWebGpu()).requestAdapter())!];
    const opener = gpuOpener({ adapters, onnx: () => Promise.resolve(onnx) }, { allowSoftware: true, kvType });
    const model = await openModel({
      path: fixture("gguf/llama.q8_0.gguf"),
      device: "webgpu",
      policy: "snapkv",
      files,
      cacheFolder: folder,
      gpu: () => Promise.resolve(opener),
      runtimes: { native: nothing, wasm: nothing },
    });
    const rooms = { chunkTokens: 32, reserve: 20, decodeBudget: Infinity };
    const { capacity, bytes } = (await model.allocation(policy, rooms))(100);
    using reading = await model.openReading(policy, {
      ...rooms,
      budget: { slots: 100, capacity, bytes, clampedFrom: null },
      positions: "original",
      questionTokens: [],
      answerTokens: [],
      tokenizer: fakeTokenizer,
    });
    const { kvType: type } = reading;
    await model.close();
    return type;
  };
  const is = (what: string, met: string, wanted: string): Check => ({ ok: met === wanted, text: `${what}: ${met}` });
  const wrong = await opened(zeros, "f16").catch((error) => String(error));
  const found = [
    is("by itself", await opened(runtime), "f16"),
    is("as asked", await opened(runtime, "f32"), "f32"),
    is("where attention in f16 is wrong", await opened(zeros), "f32"),
    { ok: /attention in f16 is wrong/.test(wrong), text: `the same, where f16 is asked for: ${wrong}` },
  ];
  await rm(folder, { recursive: true, force: true });
  return found;
};
