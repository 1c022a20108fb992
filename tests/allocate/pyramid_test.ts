import assert from "node:assert/strict";
import { test } from "node:test";
import { layerBudgets, pyramid, settle } from "../../core/allocate/pyramid.ts";
import { uniform } from "../../core/allocate/uniform.ts";
import { assertQuotas, headsOf, raggedHeads } from "./heads.ts";

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

test("layerBudgets: linear from 2 - 1/β of the budget down to 1/β of it", () => {
  const budgets = layerBudgets(8000, 1000, 11, 32, 20);
  assert.equal(budgets[0], 1950);
  assert.equal(budgets[10], 50);
  for (let layer = 1; layer < 11; layer++) assert.equal(budgets[layer - 1]! - budgets[layer]!, 190);
});

test("layerBudgets: the first layer leaves out the window at least, and halves round to even", () => {
  // 2.5 per layer between 268 and 258, as kvpress gives it
  assert.deepEqual(layerBudgets(300, 263, 5, 32, 20), [268, 266, 263, 260, 258]);
});

test("layerBudgets: the same for all where a layer would get less than the window, or the prompt is too short", () => {
  assert.deepEqual(layerBudgets(300, 75, 4, 32, 20), [75, 75, 75, 75]);
  assert.deepEqual(layerBudgets(120, 100, 3, 32, 20), [100, 100, 100]);
  assert.deepEqual(layerBudgets(1000, 500, 1, 32, 20), [968], "one layer has no slope");
});

test("pyramid: more slots for lower layers, the whole budget, and the paper's slope where the budget allows it", () => {
  const rows = Array.from({ length: 12 }, () => new Float32Array(2500));
  const protectedSlots = rows.map((row) => new Uint8Array(row.length).fill(1, 0, 36));
  const heads = headsOf(6, rows, 1024, { protectedSlots, tokensRead: 50_000 });
  const quotas = pyramid().quotas(heads.scores, heads.context);
  assertQuotas(quotas, heads, "paper");
  assert.deepEqual([...quotas], layerBudgets(50_000, 1024, 6, 36, 20).flatMap((budget) => [budget, budget]));
});

test("pyramid: a budget too small for the slope gets a gentler one, however long the document", () => {
  const rows = Array.from({ length: 4 }, () => new Float32Array(200));
  const protectedSlots = rows.map((row) => new Uint8Array(row.length).fill(1, 0, 36));
  for (const tokensRead of [200, 1000, 100_000]) {
    const heads = headsOf(4, rows, 90, { protectedSlots, tokensRead });
    assert.deepEqual([...pyramid().quotas(heads.scores, heads.context)], [144, 108, 72, 36], `${tokensRead} tokens`);
  }
});

test("pyramid: protected slots, the live ones and the most of a head bound its quota, and nothing is wasted", () => {
  for (let seed = 0; seed < 300; seed++) {
    const heads = raggedHeads(seed, true);
    assertQuotas(pyramid().quotas(heads.scores, heads.context), heads, `seed ${seed}`);
  }
});

test("pyramid: chunk by chunk of any size, each layer can give what its quota asks", () => {
  for (const chunk of [1, 7, 50, 300]) {
    const layers = 5, budget = 120;
    let live = new Array<number>(layers).fill(0), before = live;
    for (let tokens = chunk; tokens < 900; tokens += chunk) {
      live = live.map((slots) => slots + chunk);
      if (sum(live) <= budget * layers) continue;
      const rows = live.map((slots) => new Float32Array(slots));
      const protectedSlots = rows.map((row) => new Uint8Array(row.length).fill(1, -20));
      const heads = headsOf(layers, rows, budget, { protectedSlots, tokensRead: tokens });
      const quotas = pyramid().quotas(heads.scores, heads.context), shape = layerBudgets(tokens, budget, layers, 20, 6);
      assertQuotas(quotas, heads, `chunks of ${chunk}, ${tokens} tokens`);
      const off = quotas.map((quota, layer) => Math.abs(quota - shape[layer]!));
      assert.ok(Math.max(...off) <= 2, `chunks of ${chunk}, ${tokens} tokens: ${quotas}, asked for ${shape}`);
      before = live = [...quotas];
    }
    assert.deepEqual(before, [220, 170, 120, 70, 20], `the full slope after chunks of ${chunk}`);
  }
});

test("settle: bounds hold, the sum is the total or as near as the bounds allow, and what fits stays", () => {
  const of = (...values: number[]) => Int32Array.from(values);
  assert.deepEqual([...settle(of(5, 5, 5), of(0, 0, 0), of(9, 9, 9), 15)], [5, 5, 5]);
  assert.deepEqual([...settle(of(5, 5, 5), of(0, 0, 0), of(9, 9, 9), 17)], [6, 6, 5]);
  assert.deepEqual([...settle(of(5, 5, 5), of(5, 0, 4), of(9, 9, 9), 10)], [5, 1, 4]);
  assert.deepEqual([...settle(of(5, 5, 5), of(0, 0, 0), of(3, 9, 6), 20)], [3, 9, 6], "18 is the most");
  assert.deepEqual([...settle(of(5, 5, 5), of(2, 2, 2), of(9, 9, 9), 0)], [2, 2, 2], "6 is the least");
});

test("uniform: the budget for every head, or all of a shorter one", () => {
  const { scores, context } = headsOf(1, [new Float32Array(9), new Float32Array(3)], 5);
  assert.deepEqual([...uniform().quotas(scores, context)], [5, 3]);
});
