import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { NearestGraph } from "../../core/dense/nearest.ts";
import { TopSimilarGraph } from "../../core/dense/top_similar.ts";
import { randomNumbers } from "../host.ts";
import { openTiny } from "../tiny_llama.ts";

const D = 32;
const { engine, close } = await openTiny();
const nearest = await NearestGraph.open(engine, D);
const similar = {
  product: await TopSimilarGraph.open(engine, "product", D),
  cosine: await TopSimilarGraph.open(engine, "cosine", D),
};

const random = randomNumbers(3);
const rows = (count: number) => Float32Array.from({ length: count * D }, () => random() * 2 - 1);
const dot = (a: Float32Array, i: number, b: Float32Array, j: number) => {
  let sum = 0;
  for (let d = 0; d < D; d++) sum += a[i * D + d]! * b[j * D + d]!;
  return sum;
};

describe("dense graphs that compare keys", () => {
  after(close);

  test("nearest: the slot with the least squared distance, the first of equal ones", async () => {
    for (const [count, centres] of [[1, 1], [5, 1], [1, 7], [70, 64], [33, 3]] as const) {
      const x = rows(count), c = rows(centres);
      if (centres > 2) c.set(c.subarray(0, D), 2 * D); // a centre twice
      const distance = (i: number, j: number) => dot(x, i, x, i) + dot(c, j, c, j) - 2 * dot(x, i, c, j);
      const asked = Array.from({ length: count }, (_, i) => {
        let best = 0;
        for (let j = 1; j < centres; j++) if (distance(i, j) < distance(i, best)) best = j;
        return best;
      });
      const keys = Float32Array.of(...c, ...x), slots = Int32Array.from({ length: centres + count }, (_, slot) => slot);
      const found = await nearest.find(keys, slots.subarray(centres), slots.subarray(0, centres));
      assert.deepEqual([...found], asked, `${count} slots, ${centres} centres`);
    }
  });

  for (const likeness of ["product", "cosine"] as const) {
    test(`topSimilar: the most similar receivers, descending, with their ${likeness}`, async () => {
      const live = 50, keys = rows(live);
      const dropped = Int32Array.of(1, 3, 4, 20, 49), receivers = Int32Array.of(0, 2, 5, 30, 31, 48);
      const norm = (slot: number) => likeness === "product" ? D ** 0.25 : Math.sqrt(dot(keys, slot, keys, slot));
      for (const most of [1, 4, 9]) {
        const { likeness: found, index, m } = await similar[likeness].find(keys, dropped, receivers, most);
        assert.equal(m, Math.min(most, receivers.length));
        dropped.forEach((slot, i) => {
          const like = Array.from(receivers, (other) => dot(keys, slot, keys, other) / norm(slot) / norm(other));
          const order = [...like.keys()].sort((a, b) => like[b]! - like[a]!).slice(0, m);
          assert.deepEqual([...index.subarray(i * m, (i + 1) * m)], order);
          order.forEach((j, k) => assert.ok(Math.abs(found[i * m + k]! - like[j]!) < 1e-5));
        });
      }
    });
  }

  test("topSimilar: any number of receivers in whole and broken blocks, the first of equal ones", async () => {
    const live = 200, keys = rows(live), m = 4;
    keys.copyWithin(70 * D, 20 * D, 21 * D); // slot 70 is slot 20 again
    const dropped = Int32Array.of(0, 1, 2, 3);
    keys.copyWithin(0, 20 * D, 21 * D);
    for (const count of [1, 3, 31, 32, 33, 64, 65, 127, 128, 129, 196]) {
      const receivers = Int32Array.from({ length: count }, (_, i) => i + 4),
        norm = (slot: number) => Math.sqrt(dot(keys, slot, keys, slot));
      const found = await similar.cosine.find(keys, dropped, receivers, m);
      dropped.forEach((slot, i) => {
        const like = Array.from(
          receivers,
          (other) => Math.fround(dot(keys, slot, keys, other) / norm(slot) / norm(other)),
        );
        const order = [...like.keys()].sort((a, b) => like[b]! - like[a]! || a - b).slice(0, m);
        assert.deepEqual([...found.index.subarray(i * found.m, (i + 1) * found.m)], order, `${count} receivers`);
      });
    }
  });

  test("topSimilar: a key of zeros is like nothing, and gives no NaN", async () => {
    const keys = rows(4);
    keys.fill(0, D, 2 * D);
    const { likeness } = await similar.cosine.find(keys, Int32Array.of(0, 1), Int32Array.of(2, 3), 2);
    assert.ok(likeness.every(Number.isFinite), String(likeness));
  });
});
