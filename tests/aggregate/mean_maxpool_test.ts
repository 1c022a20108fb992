import assert from "node:assert/strict";
import { test } from "node:test";
import { meanMaxpool } from "../../core/aggregate/mean_maxpool.ts";
import type { StageContext } from "../../core/policy.ts";

const context = {} as StageContext;

test("mean-maxpool: of the mean mass the maximum over seven neighbours, cut off at the ends", async () => {
  const mean = [Float32Array.of(5, 1, 2, 3, 4, 0, 0, 0, 9, 0)];
  const scores = await meanMaxpool().score({ mean, max: [new Float32Array(10).fill(99)] }, context);
  assert.deepEqual([...scores[0]!], [5, 5, 5, 5, 4, 9, 9, 9, 9, 9]);
  assert.deepEqual(meanMaxpool().rows, ["mean"]);
});

test("mean-maxpool: pools a score where there is no mass", async () => {
  const scores = await meanMaxpool(1).score({ score: [Float32Array.of(-3, -1, -2, -5)] }, context);
  assert.deepEqual([...scores[0]!], [-1, -1, -1, -2]);
});
