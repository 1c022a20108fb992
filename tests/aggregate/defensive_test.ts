import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { atLeastMean, certainSlots, defensive, normShares } from "../../core/aggregate/defensive.ts";
import { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import { DEFENSIVE_KERNEL } from "../../core/engine/attention_mass.ts";
import type { StageContext } from "../../core/policy.ts";
import { Rope } from "../../core/rope.ts";
import { ReferenceLlama } from "../engine/reference_llama.ts";
import { forward } from "../golden/forward.ts";
import { pooledToMass } from "../golden/fixtures/defensivekv.ts";
import { randomNumbers } from "../host.ts";
import { difference, openTiny, PROMPT, tokens } from "../tiny_llama.ts";

const massy = await openTiny({ features: { mass: ["defensive"] } });

describe("defensive aggregation", () => {
  after(() => massy.close());

  test("in the graph: the largest of the rows that were pooled and brought back to their mass, as a plain reference has it", async () => {
    const { engine, model } = massy, { config } = engine, reference = await ReferenceLlama.load(model);
    const cache = new KvCache(config, 300);
    await forward(engine, cache, PROMPT.slice(0, 60));
    // attention of few rows, and the window of a chunk
    for (const [count, scoreRows] of [[9, 9], [80, 12]] as const) {
      const ids = tokens(count, 9);
      const { mass } = await engine.pass(cache, { tokens: ids, firstPosition: 60, scoreRows });
      reference.forward(cache, ids, 60).weights.forEach((heads, head) => {
        const rows = heads.flatMap((rows) => rows.slice(-scoreRows)).map((row) => {
          const whole = new Float32Array(60 + count);
          whole.set(row);
          return pooledToMass(whole, DEFENSIVE_KERNEL);
        });
        const asked = Float32Array.from(
          { length: 60 + count },
          (_, slot) => Math.max(...rows.map((row) => row[slot]!)),
        );
        assert.ok(difference(mass!.defensive![head]!, asked) < 1e-5, `${count} rows, head ${head}`);
      });
    }
  });
});

test("atLeastMean: no slot below the head's mean", () => {
  assert.deepEqual([...atLeastMean(Float32Array.of(0, 4, 0, 0))], [1, 4, 1, 1]);
  assert.equal(atLeastMean(new Float32Array(0)).length, 0);
});

test("normShares: the heads' parts of every token add up to one, equal where there is nothing", () => {
  const [a, b] = normShares([Float32Array.of(1, 0, 3), Float32Array.of(3, 0, 1)]);
  assert.deepEqual([...a!], [0.25, 0.5, 0.75]);
  assert.deepEqual([...b!], [0.75, 0.5, 0.25]);
});

test("certainSlots: the highest slots before the one with which the share would be reached, as many as allowed", () => {
  const mean = Float32Array.of(1, 5, 2, 1, 1);
  assert.deepEqual([...certainSlots(mean, 0.75, 5)], [1, 2], "5 and 2 are 0.7 of 10, one more would be 0.8");
  assert.deepEqual([...certainSlots(mean, 0.71, 5)], [1, 2]);
  assert.deepEqual([...certainSlots(mean, 0.69, 5)], [1]);
  assert.deepEqual([...certainSlots(mean, 0.95, 2)], [1, 2], "two are the most");
  for (const [share, most] of [[0.4, 5], [0, 5], [-1, 5], [0.9, 0]] as const) {
    assert.equal(certainSlots(mean, share, most).length, 0, `${share}, ${most}`);
  }
  for (let seed = 0; seed < 100; seed++) {
    const random = randomNumbers(seed), row = Float32Array.from({ length: 1 + seed }, () => random() ** 3);
    const total = row.reduce((a, b) => a + b, 0), sure = certainSlots(row, 0.9, row.length);
    const held = [...sure].reduce((sum, slot) => sum + row[slot]!, 0);
    const rest = [...row.keys()].filter((slot) => !sure.includes(slot)).map((slot) => row[slot]!);
    assert.ok(held < 0.9 * total + 1e-5);
    assert.ok(held + Math.max(...rest) >= 0.9 * total - 1e-5, `seed ${seed}: one more would reach it`);
  }
});

/** A layer of two heads, and its context. */
function layerOf(n: number, norms: Float32Array[], more: Partial<StageContext> = {}) {
  const cache = new KvCache({ layers: 1, kvHeads: 2, headDim: 4 }, n + 20, ["valueNorm", "normShare"]);
  const rows = [new Float32Array(n * 4), new Float32Array(n * 4)];
  cache.append(rows, rows, n, 0, 0, { valueNorm: norms });
  const context: StageContext = {
    engine: null as unknown as StageContext["engine"], // the mass is given
    cache,
    budget: n,
    mostSlots: Infinity,
    tokensRead: n,
    protectedSlots: [new Uint8Array(n), new Uint8Array(n)],
    ...more,
  };
  return { cache, context };
}

test("defensive: the worst attention with the mean as its floor, times the norm's share; the recent window on top", async () => {
  const n = 6, window = Uint8Array.of(0, 0, 0, 0, 1, 1);
  const { context } = layerOf(n, [new Float32Array(n).fill(3), new Float32Array(n).fill(1)], {
    budget: 2, // all of it for the window: no slot is certain
    protectedSlots: [window, window],
  });
  const worst = [Float32Array.of(0.8, 0, 0.2, 0.2, 9, 9), Float32Array.of(0.4, 0.4, 0, 0, 9, 9)];
  const mean = [new Float32Array(n).fill(0.1), new Float32Array(n).fill(0.1)];
  const [a, b] = await defensive().score({ defensive: worst, mean }, context);
  assert.ok(difference(a!, [0.6, 0.225, 0.225, 0.225, 0.6, 0.6]) < 1e-6, String(a));
  assert.ok(difference(b!, [0.1, 0.1, 0.05, 0.05, 0.6, 0.6]) < 1e-6, String(b));
});

test("defensive: slots that hold the mean attention get the layer's highest score, whatever their worst case", async () => {
  const n = 5, norms = [new Float32Array(n).fill(1), new Float32Array(n).fill(1)];
  const { context } = layerOf(n, norms);
  const worst = [Float32Array.of(0, 0, 0, 0, 1), Float32Array.of(0.5, 0.4, 0.3, 0.2, 0.1)];
  const mean = [Float32Array.of(0.5, 0.3, 0.12, 0.08, 0), Float32Array.of(0.2, 0.2, 0.2, 0.2, 0.2)];
  const [a] = await defensive().score({ defensive: worst, mean }, context);
  assert.deepEqual([...a!].map((score) => score === 0.5), [true, true, false, false, true], String(a));
});

test("defensive: shares of a token's norm are those of when it was read, after its slots went their own ways", async () => {
  const n = 10,
    random = randomNumbers(3),
    norms = [0, 1].map(() => Float32Array.from({ length: n }, () => 1 + random()));
  const asked = normShares(norms), { cache, context } = layerOf(n, norms);
  const level = () => Array.from(cache.live, (live) => new Float32Array(live).fill(0.01));
  await defensive().score({ defensive: level(), mean: level() }, context);
  compact(cache, [Int32Array.of(1, 4, 9), Int32Array.of(0, 2, 4, 7, 8)], "original", ropeOf(4), n);
  const fresh = [Float32Array.of(1, 2), Float32Array.of(3, 2)], rows = [new Float32Array(8), new Float32Array(8)];
  cache.append(rows, rows, 2, n, n, { valueNorm: fresh });
  const protectedSlots = Array.from(cache.live, (live) => new Uint8Array(live));
  await defensive().score({ defensive: level(), mean: level() }, { ...context, protectedSlots });
  const of = (
    head: number,
    kept: number[],
  ) => [...kept.map((slot) => asked[head]![slot]!), ...normShares(fresh)[head]!];
  assert.ok(difference(cache.attribute("normShare", 0), of(0, [1, 4, 9])) < 1e-6);
  assert.ok(difference(cache.attribute("normShare", 1), of(1, [0, 2, 4, 7, 8])) < 1e-6);
});

test("defensive: scores that are no attention take part as mass, negative ones from their lowest on", async () => {
  const n = 8, norms = [new Float32Array(n).fill(1), new Float32Array(n).fill(1)];
  const score = [Float32Array.from({ length: n }, (_, slot) => slot - 4), new Float32Array(n).fill(1)];
  const { context } = layerOf(n, norms, { budget: 0 });
  const [a] = await defensive().score({ score }, context);
  assert.deepEqual([...a!], [3.5, 3.5, 3.5, 3.5, 4, 5, 6, 7].map((value) => value / 2));
});

const ropeOf = (headDim: number) => new Rope({ headDim, ropeTheta: 10000, ropeScaling: null });
