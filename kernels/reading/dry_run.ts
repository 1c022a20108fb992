/** What a reading on a GPU allocates, found by one on a GPU that runs nothing: every policy's own code says what it needs, and no table has to. */
import type { Allocate, Allocation, Rooms, Sizes } from "../../core/budget.ts";
import { DECODE_BLOCK } from "../../core/decode/evict.ts";
import { computedIn } from "../../core/gpu_cache.ts";
import { cachedLayers } from "../../core/engine/layers.ts";
import type { ModelConfig } from "../../core/engine/weights.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import type { Packs } from "../../core/pack/packs.ts";
import { leastBudget, needs, type Policy } from "../../core/policy.ts";
import { dryEngine, DryGpu } from "./dry_gpu.ts";
import { GpuReading } from "./gpu_reading.ts";
import { gpuCapacity, isWide } from "./plan.ts";
import { ValueNorms } from "./value_norms.ts";

export interface DryMemory extends Allocation {
  /** Beyond `bytes`, most that stands on the device at once: parameters of kernels, what is read back. */
  besides: number;
}

/** Tokens of a question, of an answer's beginning, and so on: arrays are as large as for the longest. */
const FEW = 12;

/**
 * Reads until everything is allocated that ever will be, recalls, and writes until something of it was evicted.
 * @param wide slots have a bias
 * @param kvType what the cache stores
 */
export async function dryRun(
  policy: Policy,
  config: ModelConfig,
  sizes: Sizes,
  wide = isWide(policy),
  packs: Packs = {},
  kvType: StoredType = "f32",
): Promise<DryMemory> {
  const { slots, chunkTokens, reserve, decodeBudget } = sizes, heads = cachedLayers(config).length * config.kvHeads;
  const capacity = gpuCapacity(policy, sizes), summary = [heads * (slots + chunkTokens), heads * slots, slots];
  const gpu = new DryGpu((into) => into.forEach((_, i) => into[i] = i < 3 ? summary[i]! : slots));
  gpu.kvType = computedIn(kvType);
  const engine = dryEngine(gpu, config, { wide, kvType }, packs),
    numbers = (count: number) => Array.from({ length: count }, () => 3);
  // one number stands for a matrix: nobody multiplies
  const matrix = () => Promise.resolve(new Float32Array(4));
  const norms = needs(policy, "valueNorms") ? await ValueNorms.open(gpu, engine, matrix) : null;
  const before = gpu.memory.current;
  using reading = new GpuReading(gpu, engine, policy, {
    budget: { slots, capacity, bytes: 0, clampedFrom: null },
    chunkTokens,
    reserve,
    positions: "compact",
    questionTokens: numbers(FEW),
    answerTokens: numbers(FEW),
    tokenizer: { encode: (text) => numbers(Math.min(FEW, text.length)), stopIds: new Set() },
    decodeBudget,
  }, norms);
  // the second compaction is not like the first where memory slots are made
  for (let left = policy.evicts ? Math.ceil(slots / chunkTokens) + 2 : 1; left > 0; left--) {
    await reading.read(numbers(chunkTokens));
  }
  await reading.coverage(0);
  if (needs(policy, "text")) await reading.recall(numbers(FEW), { first: 0, end: reading.tokensRead });
  await reading.likeliestAfter(numbers(1));
  const written = policy.decode.evicts && decodeBudget < Infinity ? decodeBudget + DECODE_BLOCK : 1;
  for (let left = written; left > 0; left--) await reading.likeliestNext(3);
  return { capacity, bytes: reading.kvBytes, besides: gpu.memory.peak - before - reading.kvBytes };
}

/** What readings of the policy take: found at two budgets, and every slot more takes as much more. */
export async function gpuAllocation(
  policy: Policy,
  config: ModelConfig,
  rooms: Rooms,
  wide = isWide(policy),
  packs: Packs = {},
  kvType: StoredType = "f32",
): Promise<Allocate> {
  const least = leastBudget(policy), more = least + 1024;
  const [few, many] = [
    await dryRun(policy, config, { ...rooms, slots: least }, wide, packs, kvType),
    await dryRun(policy, config, { ...rooms, slots: more }, wide, packs, kvType),
  ];
  const perSlot = (many.bytes - few.bytes) / (more - least);
  return (slots) => ({
    capacity: gpuCapacity(policy, { ...rooms, slots }),
    bytes: Math.ceil(few.bytes + perSlot * (slots - least)),
  });
}
