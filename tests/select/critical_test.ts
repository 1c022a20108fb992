import assert from "node:assert/strict";
import { test } from "node:test";
import { critical, twoStages } from "../../core/select/critical.ts";
import { randomNumbers } from "../host.ts";
import { awkward, context, sorted } from "./slots.ts";

/** The paper's algorithm by sorting: half by score, the rest by (score + ε) × norm, protected slots beforehand. */
function plainly(scores: Float32Array, norms: Float32Array, quota: number, guarded: Set<number>): number[] {
  const kept = new Set(guarded),
    best = (rank: (slot: number) => number, count: number) => {
      const open = [...scores.keys()].filter((slot) => !kept.has(slot));
      open.sort((a, b) => rank(b) - rank(a) || a - b).slice(0, Math.max(0, count)).forEach((slot) => kept.add(slot));
    };
  best((slot) => scores[slot]!, Math.max(1, Math.trunc(quota * 0.5)) - kept.size);
  best((slot) => Math.fround((scores[slot]! + 1e-4) * norms[slot]!), quota - kept.size);
  return [...kept].sort((a, b) => a - b);
}

test("critical: half of the quota by score, the rest by (score + 1e-4) × value norm, as sorting gives it", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = randomNumbers(seed), n = 20 + seed % 90;
    const scores = Float32Array.from({ length: n }, () => random() ** 4 / 20);
    const valueNorm = Float32Array.from({ length: n }, () => 1 + 30 * random() ** 3);
    const protectedSlots = Uint8Array.from({ length: n }, () => Number(random() < 0.15));
    const guarded = new Set([...protectedSlots.keys()].filter((slot) => protectedSlots[slot]));
    const quota = Math.max(1, guarded.size) + Math.floor((n - guarded.size) * random());
    const keep = critical().keep(scores, context(n, quota, { protectedSlots, valueNorm }));
    assert.deepEqual([...keep], plainly(scores, valueNorm, Math.min(n, quota), guarded), `seed ${seed}`);
  }
});

test("critical: a slot without attention stays for its value norm, and equal norms change nothing", () => {
  const scores = Float32Array.of(0.4, 0.3, 0, 0.02, 0.01, 0.03), valueNorm = new Float32Array(6).fill(1);
  assert.deepEqual([...critical().keep(scores, context(6, 4, { valueNorm }))], [0, 1, 3, 5]);
  valueNorm[2] = 1000;
  assert.deepEqual([...critical().keep(scores, context(6, 4, { valueNorm }))], [0, 1, 2, 5]);
  assert.deepEqual([...critical(1).keep(scores, context(6, 4, { valueNorm }))], [0, 1, 3, 5], "scores alone");
});

test("critical: protected slots stay whatever their scores and norms, and take from the first stage", () => {
  const n = 40, scores = Float32Array.from({ length: n }, (_, slot) => slot / n);
  const protectedSlots = new Uint8Array(n).fill(1, 0, 12), valueNorm = new Float32Array(n).fill(1).fill(0, 0, 12);
  const asked = context(n, 20, { protectedSlots, valueNorm });
  const keep = critical().keep(scores, asked);
  assert.deepEqual([...keep.slice(0, 12)], [...Array(12).keys()]);
  const { taken } = twoStages(scores, asked);
  assert.equal(taken.reduce((sum, one) => sum + one, 0), 12, "ten would be half");
});

test("critical: negative scores are shifted, so that a larger value norm never lowers a slot", () => {
  const scores = Float32Array.of(-9, -1, -5, -4, -6, -8), valueNorm = Float32Array.of(1, 1, 50, 1, 1, 1);
  const keep = critical().keep(scores, context(6, 4, { valueNorm }));
  assert.deepEqual([...keep], [1, 2, 3, 4], "the first stage takes 1 and 3, the second 2 for its norm");
});

test("critical: exactly the quota, ascending, each slot once, for any floats", () => {
  for (let seed = 0; seed < 200; seed++) {
    const n = 1 + seed % 70, scores = awkward(n, seed), valueNorm = awkward(n, seed + 700), copy = scores.slice();
    for (const quota of [0, 1, n >> 1, n, n + 3]) {
      const keep = critical().keep(scores, context(n, quota, { valueNorm }));
      assert.equal(keep.length, Math.min(n, quota), `seed ${seed}, ${quota} of ${n}`);
      assert.ok(keep.every((slot, i) => slot < n && (i === 0 || slot > keep[i - 1]!)), `seed ${seed}`);
      const first = new Set(sorted(scores, Math.trunc(quota / 2)));
      if (quota < n) assert.ok([...first].every((slot) => keep.includes(slot)), `first stage, seed ${seed}`);
    }
    assert.deepEqual(scores, copy, "scores stay");
  }
});
