/** What the engine on a GPU must do, each check opening what it needs. */
import { join } from "node:path";
import process from "node:process";
import * as runtime from "onnxruntime-web/webgpu";
import { loadWebGpu } from "../../cli/runtimes/webgpu.ts";
import { attentionSelfTest } from "../../core/engine/attention_self_test.ts";
import { describeAdapter } from "../../kernels/device/adapter.ts";
import type { DeviceMemory } from "../../kernels/device/memory.ts";
import { GpuKvCache } from "../../core/gpu_cache.ts";
import { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import { argmax } from "../../core/decode/write.ts";
import type { Engine } from "../../core/engine/engine.ts";
import type { WebgpuEngine } from "../../core/engine/webgpu.ts";
import { Rope } from "../../core/rope.ts";
import { cacheFor, forward } from "../golden/forward.ts";
import { isSupported, list, readArrays, readJson } from "../golden/open.ts";
import { type Check, close, equal } from "../golden/report.ts";
import { fixture, randomNumbers } from "../host.ts";
import { tokens } from "../tiny_llama.ts";
import { forwardGpu, gpuCache, keepRows, readFloats, usingGpu } from "./gpu_open.ts";

const LOGITS = 2e-4;
/** Small models with reference vectors: those of the fixtures, or of GOLDEN_DIR, which has more architectures. */
const models = process.env["GOLDEN_DIR"] ? join(process.env["GOLDEN_DIR"], "models") : fixture("golden/models");
export const folderOf = (model: string) => join(models, model);
export const goldenOf = async (model: string) => ({
  golden: await readJson(join(folderOf(model), "golden.json")),
  arrays: await readArrays(join(folderOf(model), "golden.safetensors")),
});

/** Greedy tokens after the prompt's last logits. */
export async function greedy(
  count: number,
  logits: Float32Array,
  next: (token: number, i: number) => Promise<Float32Array>,
) {
  const ids: number[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(argmax(logits));
    logits = await next(ids[i]!, i);
  }
  return ids;
}

/** Keeps of every head of a cache after `count` tokens. @param ragged each head another number, one of them few */
function keeps(heads: number, count: number, ragged: boolean): number[][] {
  const random = randomNumbers(3);
  return Array.from({ length: heads }, (_, head) => {
    const all = Array.from({ length: count }, (_, slot) => slot);
    if (!ragged) return all.filter((slot) => (slot * 7 + head) % 3 === 0).slice(0, Math.floor(count / 3) - 1);
    if (head === 2) return [0, count - 1];
    const share = 0.1 + 0.8 * random();
    return all.filter(() => random() < share);
  });
}

/** After a compaction: chunks and single tokens, on the GPU as on the CPU. */
export async function continues(
  engine: WebgpuEngine,
  cpu: Engine,
  ids: number[],
  ragged: boolean,
  tolerance = LOGITS,
): Promise<Check[]> {
  const { config } = engine, capacity = ids.length + 120, more = tokens(90, 7);
  const gpu = gpuCache(engine, capacity), plain = cacheFor(cpu, capacity);
  const keep = keeps(gpu.heads, ids.length, ragged);
  await forwardGpu(engine, gpu, ids, { sizes: [100] });
  await forward(cpu, plain, ids);
  keepRows(gpu, keep);
  compact(plain, keep.map((slots) => Int32Array.from(slots)), "original", new Rope(config), ids.length);
  const checks: Check[] = [];
  for (const [from, to] of [[0, 64], [64, 65], [65, 88], [88, 90]] as const) {
    const piece = more.slice(from, to), firstPosition = ids.length + from, logitsRows = piece.length;
    const got = await forwardGpu(engine, gpu, piece, { logitsRows, firstPosition });
    const { logits } = await forward(cpu, plain, piece, { logitsRows, firstPosition });
    checks.push(close(`logits of ${piece.length} rows`, got, logits, tolerance));
  }
  gpu.close();
  return checks;
}

export const checks: Record<string, (device: GPUDevice, memory: DeviceMemory) => Promise<Check[]>> = {};

/** Those whose architecture there is. */
export const known: string[] = [];
for (const model of await list(models)) {
  if (!isSupported((await goldenOf(model)).golden.model_type)) continue;
  known.push(model);

  checks[`${model}: golden logits, hidden states, greedy tokens`] = async (device) => {
    const { golden, arrays } = await goldenOf(model), ids: number[] = golden.prompt_ids;
    return await usingGpu(device, folderOf(model), { features: { hidden: true } }, async ({ engine }) => {
      const { hidden, layers, vocab } = engine.config,
        cache = gpuCache(engine, ids.length + 20),
        last = new Float32Array((layers + 1) * hidden);
      const found = await engine.pass(cache, { tokens: ids, firstPosition: 0, logitsRows: 8 });
      cache.append(ids.length);
      for (const [layer, buffer] of found.hidden!.entries()) {
        const rows = layer < layers ? ids.length : 8, all = await readFloats(device, buffer, rows * hidden);
        last.set(all.subarray((rows - 1) * hidden), layer * hidden);
      }
      const logits = await readFloats(device, found.logits!, 8 * vocab);
      found.release();
      const written = await greedy(
        golden.greedy_ids.length,
        logits.subarray(7 * vocab),
        (token, i) => forwardGpu(engine, cache, [token], { firstPosition: ids.length + i }),
      );
      cache.close();
      return [
        close("logits_last8", logits, arrays.data("logits_last8"), LOGITS),
        close("hidden_last", last, arrays.data("hidden_last"), LOGITS),
        equal("greedy_ids", written, golden.greedy_ids),
      ];
    });
  };

  // frequencies and tied embeddings are attention's business no more
  if (model === "llama3rope") continue;
  for (const logBias of [false, true]) {
    const how = logBias ? "slots with a bias" : "plain slots";
    checks[`${model}, ${how}: chunks of any size, compacted heads`] = async (device) => {
      const { golden, arrays } = await goldenOf(model), ids: number[] = golden.prompt_ids;
      return await usingGpu(device, folderOf(model), { features: { logBias } }, async ({ engine, cpu }) => {
        const found: Check[] = [], sizes = [1, 64, 7, 100, 65, 33], cache = gpuCache(engine, ids.length);
        const logits = await forwardGpu(engine, cache, ids, { sizes, logitsRows: 8 });
        found.push(close(`logits_last8, chunks of ${sizes}`, logits, arrays.data("logits_last8"), LOGITS));
        cache.close();
        for (const ragged of logBias ? [false, true] : [false]) {
          for (const check of await continues(engine, cpu, ids.slice(0, 200), ragged)) {
            found.push({ ...check, text: `${ragged ? "ragged" : "equal"} heads: ${check.text}` });
          }
        }
        return found;
      });
    };
  }
}

checks["a slot with bias log 3 counts as three equal slots"] = (device) =>
  usingGpu(device, folderOf("llama"), { features: { logBias: true } }, async ({ engine, cpu }) => {
    const { config } = engine, ids = tokens(60, 4), more = tokens(20, 5);
    const gpu = gpuCache(engine, 100), plain = new KvCache(config, 100);
    await forwardGpu(engine, gpu, ids);
    await forward(cpu, plain, ids);
    for (let head = 0; head < gpu.heads; head++) {
      const slot = 17 + head, layer = Math.floor(head / config.kvHeads);
      const at = gpu.offset(head, slot) + config.headDim * 4;
      device.queue.writeBuffer(gpu.keys[layer]!, at, Float32Array.of(Math.log(3)));
      for (let again = 0; again < 2; again++) {
        const to = plain.start[head]! + plain.live[head]!;
        plain.move(plain.start[head]! + slot, to, 1);
        plain.live[head]!++;
      }
    }
    const found: Check[] = [];
    for (const rows of [1, 20]) {
      const pass = { tokens: more.slice(0, rows), firstPosition: 60, logitsRows: rows };
      const got = await engine.pass(gpu, pass), asked = await cpu.pass(plain, pass);
      const logits = await readFloats(device, got.logits!, rows * config.vocab);
      found.push(close(`${rows} rows`, logits, asked.logits!, LOGITS));
      got.release();
    }
    gpu.close();
    return found;
  });

checks["queries of the last rows stay on the GPU: rotated, and before rotation"] = (device) =>
  usingGpu(
    device,
    folderOf("llama"),
    { features: { mass: ["mean"], logBias: true, queryMoments: true } },
    async (opened) => {
      const { engine } = opened, { headDim, heads, layers } = engine.config, ids = tokens(90, 4);
      const cache = gpuCache(engine, 120), slot = cache.slotDim, R = 5;
      const none = await engine.pass(cache, { tokens: ids, firstPosition: 0 });
      const result = await engine.pass(cache, { tokens: ids, firstPosition: 0, queryRows: R });
      const found: Check[] = [
        equal("what was not asked for", [Number(none.queries === null), Number(none.logits === null)], [1, 1]),
      ];
      for (let layer = 0; layer < layers; layer++) {
        const query = await readFloats(device, result.queries![layer]!, R * heads * slot);
        const raw = (await readFloats(device, result.rawQueries![layer]!, ids.length * heads * slot)).subarray(
          (ids.length - R) * heads * slot,
        );
        const rope = new Rope(engine.config), turned = raw.slice();
        for (let row = 0; row < R; row++) {
          for (let head = 0; head < heads; head++) {
            const at = (row * heads + head) * slot;
            rope.shift(turned, at, at, ids.length - R + row);
          }
        }
        found.push(close(`layer ${layer}: rotated`, query, turned, 1e-4));
        const columns = Array.from({ length: R * heads }, (_, i) => query[i * slot + headDim + 1]!);
        found.push(close("sqrt(D) meets what hides", columns, columns.map(() => Math.sqrt(headDim)), 1e-6));
        const biases = Array.from({ length: R * heads }, (_, i) => query[i * slot + headDim]!);
        found.push(equal("rows of a chunk meet no bias", biases, biases.map(() => 0)));
      }
      none.release();
      result.release();
      cache.close();
      return found;
    },
  );

checks["the attention self-test finds a device on which attention is wrong"] = async (device) => {
  const test = (of: GPUDevice) => attentionSelfTest(runtime, of, 32, 2).then(() => "", (error) => String(error));
  const found = [equal("refusals of the device as it is opened", [Number((await test(device)) !== "")], [0])];
  const adapter = (await (await loadWebGpu()).requestAdapter())!, size = adapter.info.subgroupMinSize;
  if (!adapter.features.has("subgroups") || size !== 4) return found; // the runtime does not let it be opened so
  const limits = describeAdapter(adapter).limits;
  const wrong = await adapter.requestDevice({ requiredLimits: limits, requiredFeatures: ["subgroups"] });
  const refused = /row \d+ of 70 gave .*without the feature "subgroups"/.test(await test(wrong));
  wrong.destroy();
  return [...found, equal("refusals of one with subgroups of 4", [Number(refused)], [1])];
};

checks["the cache: its bytes, where layers end, what it refuses"] = async (device, memory) => {
  const shape = { layers: 2, kvHeads: 3, headDim: 16 }, before = memory.current, capacity = 11;
  const cache = new GpuKvCache(device, shape, capacity, true);
  const found = [equal("bytes", [memory.current - before], [cache.bytes])], { created } = memory;
  cache.append(6);
  cache.end.set([5, 6]);
  cache.append(1);
  found.push(
    equal("ends", cache.end, [6, 7]),
    equal("free slots", [cache.free], [4]),
    equal("buffers made after opening", [memory.created - created], [0]),
  );
  const refusals = ([
    ["more rows than are free", /5 rows, and 4 slots are free/, () => cache.append(5)],
    [
      "a layer larger than a buffer may be",
      /use a --kv-budget of at most \d+/,
      () => new GpuKvCache(device, shape, 1e9, false),
    ],
  ] as const).map(([what, message, attempt]) => {
    try {
      attempt();
      return { ok: false, text: `${what}: not refused` };
    } catch (error) {
      return { ok: message.test(String(error)), text: `${what}: ${error}` };
    }
  });
  cache.close();
  return [...found, ...refusals, equal("bytes after closing", [memory.current], [before])];
};
