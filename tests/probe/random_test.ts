import assert from "node:assert/strict";
import { test } from "node:test";
import { chance, random } from "../../core/probe/random.ts";
import { inventedCache } from "./context.ts";

test("chance: evenly spread over [0, 1), for tokens of one head and for heads of one token", () => {
  for (const draw of [(i: number) => chance(3, i), (i: number) => chance(i, 3)]) {
    const tenths = Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) tenths[Math.floor(draw(i) * 10)]!++;
    assert.equal(tenths.reduce((a, b) => a + b), 10_000);
    for (const count of tenths) assert.ok(Math.abs(count - 1000) < 120, String(tenths)); // four standard deviations
  }
});

test("chance: neighbouring tokens and heads have nothing to do with each other", () => {
  let product = 0, across = 0;
  for (let i = 0; i < 10_000; i++) {
    product += (chance(0, i) - 0.5) * (chance(0, i + 1) - 0.5);
    across += (chance(0, i) - 0.5) * (chance(1, i) - 0.5);
  }
  for (const sum of [product, across]) assert.ok(Math.abs(sum / 10_000 * 12) < 0.04, String(sum)); // correlation
});

test("random: a token keeps its score wherever its slot stands", async () => {
  const cache = inventedCache({ layers: 2, kvHeads: 2, headDim: 2 }, 50, { key: () => 1 });
  const { score: before } = await random().look({ cache } as never);
  for (let head = 0; head < cache.heads; head++) {
    cache.move(cache.start[head]! + 30, cache.start[head]! + 10, 20);
    cache.live[head] = 30;
  }
  const { score: after } = await random().look({ cache } as never);
  after!.forEach((row, head) =>
    assert.deepEqual([...row], [...before![head]!.subarray(0, 10), ...before![head]!.subarray(30, 50)])
  );
  assert.notDeepEqual(before![0], before![1]);
});
