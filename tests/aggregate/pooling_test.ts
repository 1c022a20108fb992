import assert from "node:assert/strict";
import { test } from "node:test";
import { max, maxPool } from "../../core/aggregate/max.ts";
import { averagePool, mean } from "../../core/aggregate/mean.ts";
import type { StageContext } from "../../core/policy.ts";
import { none } from "../../core/aggregate/none.ts";
import { randomNumbers } from "../host.ts";
import { difference } from "../tiny_llama.ts";

function row(n: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: n }, () => random() < 0.2 ? Math.floor(4 * random()) / 4 : random() - 0.2);
}

test("maxPool: equals the maximum over each neighbourhood", () => {
  for (let seed = 0; seed < 120; seed++) {
    const n = seed % 60, radius = [0, 1, 2, 3, 10, 31, 100][seed % 7]!, scores = row(n, seed), copy = scores.slice();
    const asked = Array.from(scores, (_, i) => Math.max(...scores.subarray(Math.max(0, i - radius), i + radius + 1)));
    assert.deepEqual([...maxPool(scores, radius)], asked, `n ${n}, radius ${radius}`);
    assert.deepEqual(scores, copy, "scores stay");
  }
});

test("averagePool: zeros beyond the ends, divided by the whole kernel, as torch's avg_pool1d", () => {
  assert.deepEqual([...averagePool(Float32Array.of(5, 10, 15, 20), 3)], [5, 10, 15, Math.fround(35 / 3)]);
  for (let seed = 0; seed < 60; seed++) {
    const n = seed % 30, kernel = [1, 3, 5, 7, 41][seed % 5]!, half = (kernel - 1) / 2, scores = row(n, seed);
    const asked = Array.from(scores, (_, i) => {
      let sum = 0;
      for (let j = i - half; j <= i + half; j++) sum += scores[j] ?? 0;
      return sum / kernel;
    });
    assert.ok(difference(averagePool(scores, kernel), asked) < 1e-6, `n ${n}, kernel ${kernel}`);
  }
});

test("aggregates pool every head by itself and say what the graph shall do", () => {
  const heads = [row(9, 1), row(30, 2), row(0, 3)];
  const context = {} as StageContext; // they look at the evidence only
  assert.deepEqual(max(2).score({ max: heads }, context), heads.map((scores) => maxPool(scores, 2)));
  assert.deepEqual(mean(5).score({ mean: heads }, context), heads.map((scores) => averagePool(scores, 5)));
  assert.deepEqual(none().score({ max: heads }, context), heads);
  for (const aggregate of [max(2), mean(5), none()]) {
    assert.deepEqual(
      aggregate.score({ score: heads }, context),
      aggregate.score({ [aggregate.rows[0]!]: heads }, context),
    );
  }
  assert.deepEqual([max().rows, mean().rows], [["max"], ["mean"]]);
});
