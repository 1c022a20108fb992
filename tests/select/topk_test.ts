import assert from "node:assert/strict";
import { test } from "node:test";
import { spread } from "../../core/select/spread.ts";
import { highest } from "../../core/select/highest.ts";
import { topk } from "../../core/select/topk.ts";
import { randomNumbers } from "../host.ts";
import { awkward, context, sorted } from "./slots.ts";

test("highest: equals sorting, for any count and any floats", () => {
  for (let seed = 0; seed < 300; seed++) {
    const n = 1 + seed % 97, scores = awkward(n, seed), copy = scores.slice();
    for (const count of [0, 1, n >> 1, n - 1, n, n + 5]) {
      assert.deepEqual([...highest(scores, count)], sorted(scores, count), `seed ${seed}, ${count} of ${n}: ${scores}`);
    }
    assert.deepEqual(scores, copy, "scores stay");
  }
  const many = awkward(20_000, 5);
  assert.deepEqual([...highest(many, 7_777)], sorted(many, 7_777));
  for (const value of [0, -1, NaN, Infinity]) {
    assert.deepEqual([...highest(new Float32Array(9).fill(value), 3)], [0, 1, 2], `${value}`);
  }
  // neighbouring floats, and floats that differ in one digit of the radix only
  for (const step of [1, 1 << 10, 1 << 21]) {
    const bits = Uint32Array.from({ length: 64 }, (_, i) => 0x3f000000 + ((i * 37) % 64) * step % 0x3f000000);
    const near = new Float32Array(bits.buffer);
    assert.deepEqual([...highest(near, 20)], sorted(near, 20));
  }
});

test("topk: protected slots stay whatever the scores, the rest by score", () => {
  for (let seed = 0; seed < 200; seed++) {
    const n = 60, random = randomNumbers(seed), scores = awkward(n, seed + 1000), copy = scores.slice();
    const protectedSlots = Uint8Array.from({ length: n }, () => Number(random() < 0.3));
    const guarded = protectedSlots.reduce((sum, one) => sum + one, 0),
      quota = guarded + Math.floor((n - guarded) * random());
    const keep = topk().keep(scores, context(n, quota, { protectedSlots }));
    const open = [...scores.keys()].filter((slot) => !protectedSlots[slot]);
    const best = sorted(Float32Array.from(open, (slot) => scores[slot]!), quota - guarded).map((i) => open[i]!);
    const asked = [...scores.keys()].filter((slot) => protectedSlots[slot] || best.includes(slot));
    assert.deepEqual([...keep], asked, `seed ${seed}`);
    assert.deepEqual(scores, copy, "scores stay");
  }
});

test("topk, spread: a quota of all slots or more keeps all", () => {
  for (const select of [topk(), spread()]) {
    for (const quota of [5, 6, 100]) {
      assert.deepEqual([...select.keep(awkward(5, 1), context(5, quota))], [0, 1, 2, 3, 4], select.name);
    }
  }
});

test("topk, spread: a quota below the protected slots keeps the first of them", () => {
  const protectedSlots = new Uint8Array(50).fill(1, 0, 4).fill(1, 30);
  for (const select of [topk(), spread(0.5, 7)]) {
    assert.deepEqual(
      [...select.keep(awkward(50, 2), context(50, 6, { protectedSlots }))],
      [0, 1, 2, 3, 30, 31],
      select.name,
    );
  }
});
