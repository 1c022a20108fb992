/**
 * A long reading on a GPU: the same chunk's work again and again, and what the device holds and is asked for while it lasts, as JSON. A process of its own,
 * under Bun and Deno (`soak_test.ts` starts it): `soak.ts <chunks> [policy]`.
 */
import process from "node:process";
import { recordPolicy } from "../../bench/gpu/recorded.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import { parsePolicy } from "../../core/policies.ts";
import { featuresFor } from "../../core/policy.ts";
import { GpuReading } from "../../kernels/reading/gpu_reading.ts";
import { gpuCapacity, isWide } from "../../kernels/reading/plan.ts";
import { ValueNorms } from "../../kernels/reading/value_norms.ts";
import { openTestGpu } from "../engine/gpu_device.ts";
import { usingGpu } from "../engine/gpu_open.ts";
import { fakeTokenizer, TINY, tokens } from "../tiny_llama.ts";
import { counting } from "./counting.ts";

/** Most of all kernels: two probes, heads that compete, value norms, flow. */
const WIDEST = "probe=window+question,aggregate=mean,allocate=ada,select=critical,compensate=flow";
const CHUNK = 8, SLOTS = 48, QUESTION = 4, RESERVE = 16, WRITTEN = 8;
/** Chunks after which nothing new may be allocated. */
const SETTLED = 8;

const [chunks = "500", spec = WIDEST] = process.argv.slice(2), policy = parsePolicy(spec);
const gpu = await openTestGpu(), counts = counting(gpu);
console.log(JSON.stringify({ adapter: gpu.adapter.name, kind: gpu.adapter.kind }));
const features = { ...featuresFor(policy), hidden: false, logBias: isWide(policy) };
await usingGpu(gpu.device, TINY, { features }, async ({ engine, model }) => {
  const weights = gpu.memory.current, { config } = engine;
  const capacity = gpuCapacity(policy, { slots: SLOTS, chunkTokens: CHUNK, reserve: RESERVE });
  const matrix = async (layer: number) => {
    const { type, bytes } = await model.tensor(`layers.${layer}.self_attn.o_proj`);
    return Float32Array.from(dequantise(type, bytes));
  };
  const norms = features.valueNorms ? await ValueNorms.open(gpu, engine, matrix) : null;
  using reading = new GpuReading(gpu, engine, policy, {
    budget: { slots: SLOTS, capacity, bytes: 0, clampedFrom: null },
    chunkTokens: CHUNK,
    reserve: RESERVE,
    positions: "compact",
    questionTokens: tokens(QUESTION, 9),
    answerTokens: tokens(5, 4),
    tokenizer: fakeTokenizer,
  }, norms);
  const started = performance.now(), perChunk: ReturnType<typeof counts>[] = [], held: number[] = [];
  counts();
  for (let chunk = 0; chunk < Number(chunks); chunk++) {
    await reading.read(tokens(CHUNK, 1 + chunk));
    perChunk.push(counts());
    held.push(gpu.memory.current);
  }
  const ms = performance.now() - started, peakReading = gpu.memory.peak;
  await reading.likeliestAfter(tokens(QUESTION, 9));
  counts();
  const perToken: ReturnType<typeof counts>[] = [];
  for (let i = 0; i < WRITTEN; i++) {
    await reading.likeliestNext(3 + i);
    perToken.push(counts());
  }
  const logits = await reading.next(3);
  const steady = held.slice(SETTLED);
  const recorded = await recordPolicy(config, policy, {
    budget: SLOTS,
    chunkTokens: CHUNK,
    question: QUESTION,
    reserve: RESERVE,
    positions: "compact",
  });
  console.log(JSON.stringify({
    policy: spec,
    chunks: perChunk.length,
    compactions: reading.compactions,
    ms: Math.round(ms),
    finite: logits.every(Number.isFinite),
    chunk: perChunk.at(-1),
    most: Object.fromEntries(
      (["dispatches", "ours", "submits", "bytesBack", "oursBack"] as const).map((
        key,
      ) => [key, Math.max(...perChunk.slice(SETTLED).map((counts) => counts[key]))]),
    ),
    token: perToken.at(-1),
    /** What `bench/gpu_cost.ts` says of the same. */
    model: {
      chunk: recorded.chunk.launches.length,
      token: recorded.token.launches.length,
      bytesBack: recorded.chunk.readBack,
    },
    memory: {
      session: weights,
      kv: reading.kvBytes,
      afterFirst: held[Math.ceil(SLOTS / CHUNK)],
      settled: steady[0],
      least: Math.min(...steady),
      most: Math.max(...steady),
      end: held.at(-1),
      peak: peakReading,
      afterWriting: gpu.memory.current,
      created: gpu.memory.created,
      pipelines: gpu.launches.pipelineCount,
    },
  }));
  norms?.close();
});
process.exit(0);
