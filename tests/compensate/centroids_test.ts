import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { centroids } from "../../core/compensate/centroids.ts";
import type { CompensateContext } from "../../core/policy.ts";
import { openTiny } from "../tiny_llama.ts";
import { gone, inventedContext } from "./head.ts";

const { engine, close } = await openTiny();
const D = 32;

const memoryOf = ({ cache }: CompensateContext, head: number, keep: Int32Array[]) =>
  keep[head]!.filter((slot) => cache.sources(head)[slot] === MEMORY_SOURCE);

/** log Σ exp(q·k + bias) over slots, and Σ of values by these weights. */
function attention({ cache }: CompensateContext, head: number, slots: ArrayLike<number>, query: Float32Array) {
  const keys = cache.keyRows(head), values = cache.valueRows(head), bias = cache.attribute("logBias", head);
  const out = new Float64Array(D + 1);
  for (const slot of Array.from(slots)) {
    let logit = bias[slot]!;
    for (let d = 0; d < D; d++) logit += query[d]! * keys[slot * D + d]!;
    const weight = Math.exp(logit);
    out[D]! += weight;
    for (let d = 0; d < D; d++) out[d]! += weight * values[slot * D + d]!;
  }
  return out;
}

describe("centroid slots", () => {
  after(close);

  test("centroids: for the query whose attention weighed them, they answer as all evicted slots would", async () => {
    const stage = centroids({ share: 1 / 6 }),
      context = inventedContext(engine, stage),
      { cache, keep } = context;
    const query = Float32Array.from({ length: D }, (_, d) => Math.sin(d) / 2);
    const mass = context.scores.map((row, head) => row.map((_, slot) => attention(context, head, [slot], query)[D]!));
    const evicted = keep.map((slots) => gone(90, slots));
    const before = evicted.map((slots, head) => attention(context, head, slots, query));
    const left = await stage.apply({ ...context, evidence: { mean: mass } });
    for (let head = 0; head < cache.heads; head++) {
      const memory = memoryOf(context, head, left);
      assert.equal(memory.length, 5);
      const now = attention(context, head, memory, query);
      now.forEach((value, i) => assert.ok(Math.abs(value - before[head]![i]!) < 1e-4 * before[head]![D]!, `${value}`));
    }
  });

  test("centroids: weighing the same, a bias is the log of a count; there are never more, and counts sum up to what was evicted", async () => {
    const stage = centroids({ weigh: "count", share: 1 / 6 }),
      context = inventedContext(engine, stage),
      { cache } = context;
    const before = await stage.apply(context);
    for (const round of [1, 2]) {
      let left = before;
      if (round === 2) {
        // of what stayed, every fourth slot goes now; what went before is no longer there
        const chosen = before.map((slots, head) => slots.filter((slot) => !leaves(slot, head)));
        context.keep = chosen.map((slots, head) => Int32Array.from([...slots, ...gone(90, before[head]!)]).sort());
        left = (await stage.apply(context)).map((slots, head) => slots.filter((slot) => before[head]!.includes(slot)));
      }
      for (let head = 0; head < cache.heads; head++) {
        const count = cache.attribute("count", head), bias = cache.attribute("logBias", head);
        const memory = memoryOf(context, head, left);
        assert.equal(memory.length, 5);
        const stood = memory.reduce((sum, slot) => sum + count[slot]!, 0) + left[head]!.length - memory.length;
        assert.equal(stood, 90, `round ${round}: every token stands somewhere`);
        for (const slot of memory) assert.ok(Math.abs(bias[slot]! - Math.log(count[slot]!)) < 1e-4);
      }
    }

    function leaves(slot: number, head: number): boolean {
      return slot % 4 === 1 && cache.sources(head)[slot] !== MEMORY_SOURCE && context.protectedSlots[head]![slot] === 0;
    }
  });

  test("centroids: they stand at even distances in the document, an old one counting as many tokens as it stands for", async () => {
    const stage = centroids({ slots: 4 }),
      context = inventedContext(engine, stage),
      { cache, keep } = context;
    keep[0] = Int32Array.from([0, 1, 2, 3, ...Array.from({ length: 6 }, (_, i) => 84 + i)]); // slots 4 to 83 go
    const first = await stage.apply({ ...context, budget: 64 });
    assert.deepEqual([...memoryOf(context, 0, first)], [13, 33, 53, 73]);
    // slots 4 to 7 become four centroids of 15 tokens each, and the 60 slots behind them go
    const source = cache.sources(0), count = cache.attribute("count", 0).fill(0);
    source.forEach((_, slot) => source[slot] = slot >= 4 && slot < 8 ? MEMORY_SOURCE : slot);
    count.fill(15, 4, 8);
    keep[0] = Int32Array.from([
      ...Array.from({ length: 8 }, (_, i) => i),
      ...Array.from({ length: 22 }, (_, i) => 68 + i),
    ]);
    const second = memoryOf(context, 0, await stage.apply({ ...context, budget: 64 }));
    assert.deepEqual([second.length, second.filter((slot) => slot < 8).length], [4, 2], String(second));
  });

  test("centroids: the budget decides how many; where fewer are evicted, each stands for itself", async () => {
    const stage = centroids();
    assert.deepEqual([37, 64, 128, 512, 1024, 4096].map((budget) => stage.memorySlots!(budget)), [
      4,
      8,
      16,
      64,
      64,
      64,
    ]);
    const context = inventedContext(engine, stage), { cache } = context;
    context.keep[0] = Int32Array.from({ length: 89 }, (_, i) => i);
    const before = cache.valueRows(0).slice(), left = await stage.apply({ ...context, budget: 64 });
    assert.deepEqual([...left[0]!], Array.from({ length: 90 }, (_, i) => i));
    assert.deepEqual([cache.sources(0)[89], cache.attribute("count", 0)[89]], [MEMORY_SOURCE, 1]);
    assert.deepEqual(cache.valueRows(0), before);
    assert.equal(memoryOf(context, 1, left).length, 8);
  });
});
