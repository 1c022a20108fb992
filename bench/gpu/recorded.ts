/** What a policy asks of a GPU in a steady state: a chunk after which the cache is compacted, and a written token. */
import { computedIn } from "../../core/gpu_cache.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import type { ModelConfig } from "../../core/engine/weights.ts";
import { featuresFor, type Policy } from "../../core/policy.ts";
import { GpuReading } from "../../kernels/reading/gpu_reading.ts";
import { gpuCapacity, isWide } from "../../kernels/reading/plan.ts";
import { ValueNorms } from "../../kernels/reading/value_norms.ts";
import { type Asked, dryEngine, DryGpu } from "../../kernels/reading/dry_gpu.ts";

export interface Sizes {
  /** Slots per head that stay. */
  budget: number;
  chunkTokens: number;
  /** Tokens. */
  question: number;
  reserve: number;
  positions: "original" | "compact";
  /** What the cache stores. Default: f32. */
  kvType?: StoredType;
}

export interface Recorded {
  /** A full chunk, at the third compaction: the first differs where memory slots are made. */
  chunk: Asked;
  token: Asked;
  /** Slots per head before that compaction, on the mean. */
  live: number;
  /** Bytes of the cache and of all that is known of slots. */
  kvBytes: number;
}

/** Heads are taken to be equally long after every compaction, also where they compete. */
export async function recordPolicy(config: ModelConfig, policy: Policy, sizes: Sizes): Promise<Recorded> {
  const { budget, chunkTokens, question, reserve, positions, kvType = "f32" } = sizes,
    heads = config.layers * config.kvHeads;
  const summary = [heads * (budget + chunkTokens), heads * budget, budget];
  const gpu = new DryGpu((into) => into.forEach((_, i) => into[i] = i < 3 ? summary[i]! : budget));
  gpu.kvType = computedIn(kvType);
  const engine = dryEngine(gpu, config, { wide: isWide(policy), kvType });
  const numbers = (count: number) => Array.from({ length: count }, () => 3);
  const capacity = gpuCapacity(policy, { slots: budget, chunkTokens, reserve });
  // one number stands for a matrix: nobody multiplies
  const matrix = () => Promise.resolve(new Float32Array(4));
  const norms = featuresFor(policy).valueNorms ? await ValueNorms.open(gpu, engine, matrix) : null;
  using reading = new GpuReading(gpu, engine, policy, {
    budget: { slots: budget, capacity, bytes: 0, clampedFrom: null },
    chunkTokens,
    reserve,
    positions,
    questionTokens: numbers(question),
    answerTokens: numbers(12),
    tokenizer: { encode: (text) => numbers(Math.ceil(text.length / 4)), stopIds: new Set() },
  }, norms);
  let live = 0;
  for (let read = 0; read <= Math.ceil(budget / chunkTokens) + 2; read++) {
    gpu.restart();
    live = reading.liveSlots + chunkTokens;
    await reading.read(numbers(chunkTokens));
  }
  const chunk = gpu.asked;
  gpu.restart();
  if (policy.evicts && reading.compactions < 2) {
    throw new Error(`${reading.compactions} compactions, not a steady state`);
  }
  await reading.likeliestAfter(numbers(question));
  await reading.likeliestNext(3);
  gpu.restart();
  await reading.likeliestNext(3);
  return { chunk, token: gpu.asked, live, kvBytes: reading.kvBytes };
}
