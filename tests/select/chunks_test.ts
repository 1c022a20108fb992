import assert from "node:assert/strict";
import { test } from "node:test";
import { chunks } from "../../core/select/chunks.ts";
import { randomNumbers } from "../host.ts";
import { awkward, context } from "./slots.ts";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test("chunks: whole runs of the highest mean score stay, of the last one its best stretch", () => {
  const scores = new Float32Array(50);
  scores.fill(1, 10, 20); // mean 1
  scores.fill(5, 33, 36); // mean 1.5
  scores[47] = 9; // mean 0.9
  const keep = (quota: number) => [...chunks(10).keep(scores, context(50, quota))];
  assert.deepEqual(keep(10), range(30, 40));
  assert.deepEqual(keep(20), [...range(10, 20), ...range(30, 40)]);
  assert.deepEqual(keep(3), [33, 34, 35], "the best of the best run");
  assert.deepEqual(keep(23), [...range(10, 20), ...range(30, 40), 45, 46, 47]);
});

test("chunks: runs are cut by place in the prompt, also where slots are missing", () => {
  // tokens 4-9, 12, 13, 18, 30-33
  const source = Int32Array.from([4, 5, 6, 7, 8, 9, 12, 13, 18, 30, 31, 32, 33]);
  const scores = Float32Array.of(1, 1, 1, 1, 1, 1, 3, 3, 0, 2.5, 2.5, 2.5, 2.5);
  const keep = chunks(10).keep(scores, context(13, 7, { source, tokensRead: 34 }));
  assert.deepEqual([...keep].map((slot) => source[slot]!), [12, 13, 18, 30, 31, 32, 33], "means are 1, 2 and 2.5");
});

test("chunks: protected slots stay and do not speak for their run", () => {
  const scores = new Float32Array(40).fill(0.1), protectedSlots = new Uint8Array(40).fill(1, 0, 4);
  scores.fill(100, 0, 4);
  scores.fill(0.2, 10, 20);
  const keep = chunks(10).keep(scores, context(40, 14, { protectedSlots }));
  assert.deepEqual([...keep], [0, 1, 2, 3, ...range(10, 20)]);
});

test("chunks: exactly the quota, ascending, protected slots among them, at most one run cut, for any floats", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = randomNumbers(seed), n = 20 + Math.floor(150 * random()), scores = awkward(n, seed + 3000);
    const protectedSlots = Uint8Array.from({ length: n }, () => Number(random() < 0.2));
    const guarded = protectedSlots.reduce((sum, one) => sum + one, 0), length = 1 + seed % 23;
    const quota = guarded + Math.floor((n - guarded + 3) * random());
    let token = 0;
    const source = Int32Array.from({ length: n }, () => token += 1 + Math.floor(5 * random() ** 3));
    const keep = chunks(length).keep(scores, context(n, quota, { protectedSlots, source, tokensRead: token + 1 }));
    assert.equal(keep.length, Math.min(n, quota));
    assert.ok(keep.every((slot, i) => i === 0 || slot > keep[i - 1]!), `ascending, seed ${seed}: ${keep}`);
    const kept = new Set(keep), cut = new Set<number>(), seen = new Map<number, boolean>();
    protectedSlots.forEach((one, slot) => {
      if (one) return assert.ok(kept.has(slot), `protected ${slot}, seed ${seed}`);
      const run = Math.floor(source[slot]! / length), before = seen.get(run);
      if (before !== undefined && before !== kept.has(slot)) cut.add(run);
      seen.set(run, kept.has(slot));
    });
    assert.ok(cut.size <= 1, `runs ${[...cut]} are cut, seed ${seed}`);
  }
});

test("chunks: a quota below the protected slots keeps the first of them", () => {
  const protectedSlots = new Uint8Array(50).fill(1, 0, 4).fill(1, 30);
  assert.deepEqual([...chunks().keep(awkward(50, 2), context(50, 6, { protectedSlots }))], [0, 1, 2, 3, 30, 31]);
});
