/**
 * Centroid slots: a few slots of every head stand for everything that was evicted. Each is the mean of evicted keys and values that were near each
 * other, and its logits rise by the log of how many tokens it stands for, so that one softmax weighs it as it would have weighed them (the memory of
 * IndexMem++, CMP, training-free). Later evictions join the nearest centroid.
 *
 * Differs: seeds are spread over what the first compaction evicts instead of found by k-means.
 */
import { type KvCache, MEMORY_SOURCE } from "../cache.ts";
import { NearestGraph } from "../dense/nearest.ts";
import type { Compensate, CompensateContext } from "../policy.ts";
import { Rope } from "../rope.ts";
import { evictedSlots, massOf, oneAhead } from "./heads.ts";

export interface CentroidOptions {
  /** Centroids per head. */
  slots?: number;
  weigh?: "count" | "mass";
  aligned?: boolean;
  seeds?: "spread" | "first";
  rounds?: number;
  block?: number;
}

export const centroids = (
  { slots = 64, weigh = "count", aligned = false, seeds = "spread", rounds = 0, block = Infinity }: CentroidOptions =
    {},
): Compensate => ({
  name: "centroids",
  needs: { logBias: true },
  attributes: ["count", "logBias"],
  memorySlots: slots,
  async apply(context) {
    const { cache, engine, keep } = context, { headDim } = cache.shape;
    const nearest = await NearestGraph.open(engine, headDim), rope = aligned ? new Rope(engine.config) : null;
    const isFirst = !keep.some((kept, head) => kept.some((slot) => cache.sources(head)[slot] === MEMORY_SOURCE));
    const result = keep.slice();
    await oneAhead(cache.heads, (head) => {
      const evicted = evictedSlots(cache.live[head]!, keep[head]!);
      let memory: Int32Array, joining = evicted;
      if (isFirst) {
        memory = seedsOf(evicted, slots, seeds === "spread");
        const chosen = new Set(memory);
        joining = evicted.filter((slot) => !chosen.has(slot));
        const source = cache.sources(head), count = cache.attribute("count", head);
        for (const slot of memory) {
          source[slot] = MEMORY_SOURCE;
          count[slot] = 1;
        }
        result[head] = Int32Array.from([...keep[head]!, ...memory]).sort();
      } else memory = keep[head]!.filter((slot) => cache.sources(head)[slot] === MEMORY_SOURCE);
      if (memory.length === 0 || joining.length === 0) return null;
      const mass = weigh === "mass" ? massOf(context, head) : null;
      return fold(nearest, cache, head, memory, joining, mass, rope, isFirst ? rounds : 0, block);
    });
    return result;
  },
});

function seedsOf(evicted: Int32Array, slots: number, spread: boolean): Int32Array {
  const count = Math.min(slots, evicted.length);
  return spread
    ? Int32Array.from({ length: count }, (_, i) => evicted[Math.floor((i + 0.5) * evicted.length / count)]!)
    : evicted.slice(0, count);
}

async function fold(
  nearest: NearestGraph,
  cache: KvCache,
  head: number,
  memory: Int32Array,
  joining: Int32Array,
  mass: Float32Array | null,
  rope: Rope | null,
  rounds: number,
  block: number,
): Promise<void> {
  const { headDim } = cache.shape, keys = cache.keyRows(head), values = cache.valueRows(head);
  const count = cache.attribute("count", head), bias = cache.attribute("logBias", head), first = cache.start[head]!;
  const C = memory.length, X = joining.length;
  const rows = new Float32Array(X * headDim), centres = new Float32Array(C * headDim);
  // keys as if all stood at position 0
  const take = (out: Float32Array, at: number, slot: number) => {
    if (rope) {
      out.set(keys.subarray(slot * headDim, (slot + 1) * headDim), at * headDim);
      rope.shift(out, at * headDim, at * headDim, -cache.position[first + slot]!);
    } else out.set(keys.subarray(slot * headDim, (slot + 1) * headDim), at * headDim);
  };
  joining.forEach((slot, i) => take(rows, i, slot));
  memory.forEach((slot, i) => take(centres, i, slot));
  let guide = centres.slice();
  for (let r = 0; r < rounds; r++) {
    const index = await nearest.find(rows, guide);
    const n = new Float64Array(C).fill(1);
    const sum = Float64Array.from(centres);
    for (let i = 0; i < X; i++) {
      const c = index[i]!;
      n[c]!++;
      for (let d = 0; d < headDim; d++) sum[c * headDim + d]! += rows[i * headDim + d]!;
    }
    guide = Float32Array.from(sum, (value, at) => value / n[Math.floor(at / headDim)]!);
  }
  const weight = memory.map((slot) => 0) as unknown as Float64Array;
  const w = new Float64Array(C);
  memory.forEach((slot, c) => w[c] = mass ? mass[slot]! + 1e-12 : count[slot]!);
  for (let from = 0; from < X; from += block) {
    const to = Math.min(X, from + block);
    const index = await nearest.find(rows.subarray(from * headDim, to * headDim), rounds > 0 ? guide : centres);
    for (let i = from; i < to; i++) {
      const c = index[i - from]!, slot = memory[c]!, joins = joining[i]!;
      const wx = mass ? mass[joins]! + 1e-12 : 1;
      const p = wx / (w[c]! + wx), q = 1 - p;
      w[c]! += wx;
      count[slot]!++;
      bias[slot] = q * bias[slot]! + p * bias[joins]! - (p > 0 ? p * Math.log(p) : 0) - (q > 0 ? q * Math.log(q) : 0);
      for (let d = 0; d < headDim; d++) {
        centres[c * headDim + d]! += p * (rows[i * headDim + d]! - centres[c * headDim + d]!);
        values[slot * headDim + d]! += p * (values[joins * headDim + d]! - values[slot * headDim + d]!);
      }
    }
  }
  memory.forEach((slot, c) => {
    keys.set(centres.subarray(c * headDim, (c + 1) * headDim), slot * headDim);
    if (rope) rope.shift(keys, slot * headDim, slot * headDim, cache.position[first + slot]!);
  });
}
