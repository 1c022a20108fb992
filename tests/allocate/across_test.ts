import assert from "node:assert/strict";
import { test } from "node:test";
import { ada } from "../../core/allocate/ada.ts";
import { global } from "../../core/allocate/global.ts";
import { layer } from "../../core/allocate/layer.ts";
import { highest } from "../../core/select/highest.ts";
import { assertQuotas, headsOf, raggedHeads } from "./heads.ts";

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

test("ada, layer, global: protected slots, the live ones and the most of a head bound its quota, and nothing is wasted", () => {
  for (let seed = 0; seed < 400; seed++) {
    for (const allocate of [ada(), layer(), global()]) {
      // what a policy left before: `global` gave layers different numbers of slots
      const heads = raggedHeads(seed, allocate.name === "global"), copy = heads.scores.map((row) => row.slice());
      assertQuotas(allocate.quotas(heads.scores, heads.context), heads, `${allocate.name}, seed ${seed}`);
      assert.deepEqual(heads.scores, copy, "scores stay");
    }
  }
});

test("layer: without protected slots, quotas are the counts of the layer's highest scores", () => {
  for (let seed = 0; seed < 100; seed++) {
    const { scores, context } = raggedHeads(seed), { layers, kvHeads } = context.cache.shape;
    const open = { ...context, mostSlots: Infinity, protectedSlots: scores.map((row) => new Uint8Array(row.length)) };
    const quotas = layer().quotas(scores, open);
    for (let l = 0; l < layers; l++) {
      const all = scores.slice(l * kvHeads, (l + 1) * kvHeads).flatMap((row, h) =>
        [...row].map((score) => ({ score, h }))
      );
      const best = all.map((slot, i) => ({ ...slot, i })).sort((a, b) => b.score - a.score || a.i - b.i);
      const counts = new Array<number>(kvHeads).fill(0);
      for (const { h } of best.slice(0, context.budget * kvHeads)) counts[h]!++;
      assert.deepEqual([...quotas.subarray(l * kvHeads, (l + 1) * kvHeads)], counts, `seed ${seed}, layer ${l}`);
    }
  }
});

test("ada: every layer gets the same, every head a fifth of the budget; global: all layers compete", () => {
  // the first head outbids its layer, the second layer outbids the first
  const level = (value: number) => Float32Array.from({ length: 60 }, (_, slot) => value + slot / 1e4);
  const { scores, context } = headsOf(2, [level(1), level(0), level(5), level(4)], 20);
  assert.deepEqual([...ada().quotas(scores, context)], [36, 4, 36, 4]);
  assert.deepEqual([...ada(0.5).quotas(scores, context)], [30, 10, 30, 10]);
  assert.deepEqual([...layer().quotas(scores, context)], [40, 0, 40, 0]);
  assert.deepEqual([...global().quotas(scores, context)], [4, 4, 60, 12]);
});

test("ada: an empty share of a small budget is one slot, as in kvpress", () => {
  const { scores, context } = headsOf(1, [Float32Array.of(9, 8, 7, 6), Float32Array.of(1, 1, 1, 1)], 2);
  assert.deepEqual([...ada().quotas(scores, context)], [3, 1]);
});

test("ada: protected slots count as the highest, whatever their scores", () => {
  const low = new Float32Array(50).fill(-1), high = new Float32Array(50).fill(1);
  const protectedSlots = [new Uint8Array(50).fill(1, 20), new Uint8Array(50)];
  const { scores, context } = headsOf(1, [low, high], 20, { protectedSlots });
  assert.deepEqual([...ada().quotas(scores, context)], [30, 10]);
});

test("ada, global: what a head would get beyond the most goes to the best of the others", () => {
  const rows = [3, 2, 1].map((value) => new Float32Array(50).fill(value));
  for (const allocate of [ada(), global()]) {
    const { scores, context } = headsOf(1, rows, 20, { mostSlots: 25 });
    assert.deepEqual([...allocate.quotas(scores, context)], [25, 25, 10], allocate.name);
  }
});

test("ada: with its quotas, the slots that each head keeps are the layer's highest after the safeguard", () => {
  for (let seed = 0; seed < 60; seed++) {
    const { scores, context } = raggedHeads(seed), { kvHeads } = context.cache.shape;
    const open = { ...context, mostSlots: Infinity }, quotas = ada().quotas(scores, open);
    const kept = scores.map((row, head) => new Set(highest(row, quotas[head]!, context.protectedSlots[head]!)));
    for (let first = 0; first < scores.length; first += kvHeads) {
      const heads = Array.from({ length: kvHeads }, (_, h) => first + h);
      let lowestWon = Infinity, highestLost = -Infinity;
      for (const head of heads) {
        const guard = context.protectedSlots[head]!, floor = Math.max(1, Math.trunc(context.budget * 0.2), sum(guard));
        const sure = new Set(highest(scores[head]!, floor, guard));
        scores[head]!.forEach((score, slot) => {
          if (!kept[head]!.has(slot)) highestLost = Math.max(highestLost, score);
          else if (!sure.has(slot)) lowestWon = Math.min(lowestWon, score);
        });
      }
      assert.ok(lowestWon >= highestLost, `seed ${seed}: ${lowestWon} stays, ${highestLost} does not`);
    }
  }
});
