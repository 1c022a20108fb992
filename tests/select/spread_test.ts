import assert from "node:assert/strict";
import { test } from "node:test";
import type { SelectContext } from "../../core/policy.ts";
import { spread } from "../../core/select/spread.ts";
import { randomNumbers } from "../host.ts";
import { awkward, context, sorted } from "./slots.ts";

/** Kept slots per part. */
function shares(
  keep: Int32Array,
  { source, tokensRead }: SelectContext,
  parts: number,
  protectedSlots?: Uint8Array,
): number[] {
  const counts = new Array<number>(parts).fill(0);
  for (const slot of keep) if (!protectedSlots?.[slot]) counts[Math.floor(source[slot]! * parts / tokensRead)]!++;
  return counts;
}

test("spread: equal shares of the document read so far, the best slots within each", () => {
  const n = 400, scores = Float32Array.from({ length: n }, (_, slot) => slot < 40 ? 1000 + slot : Math.sin(slot)); // a greedy first tenth
  const asked = context(n, 105), keep = spread(1, 10).keep(scores, asked);
  assert.equal(keep.length, 105);
  const counts = shares(keep, asked, 10);
  assert.ok(counts.every((count) => count === 10 || count === 11), String(counts));
  counts.forEach((count, part) => {
    const run = scores.subarray(part * 40, part * 40 + 40);
    assert.deepEqual(
      [...keep].filter((slot) => Math.floor(slot / 40) === part).map((slot) => slot - part * 40),
      sorted(run, count),
    );
  });
});

test("spread: what a small part cannot fill goes to the others; protected slots stay", () => {
  // an older half of the document of which 12 slots are left, and 90 new ones
  const source = Int32Array.from({ length: 102 }, (_, i) => i < 12 ? i * 8 : 100 + i - 12),
    tokensRead = 190,
    parts = 19;
  const protectedSlots = new Uint8Array(102).fill(1, 0, 4).fill(1, 102 - 8);
  const scores = Float32Array.from({ length: 102 }, (_, slot) => slot);
  const asked = context(102, 62, { source, tokensRead, protectedSlots }), keep = spread(1, parts).keep(scores, asked);
  assert.equal(keep.length, 62);
  for (const slot of [0, 1, 2, 3, ...Array.from({ length: 8 }, (_, i) => 94 + i)]) {
    assert.ok(keep.includes(slot), `slot ${slot}`);
  }
  assert.ok([...keep].filter((slot) => slot < 12).length === 12, "the thin old parts lose nothing");
  const counts = shares(keep, asked, parts, protectedSlots).slice(10, 18);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, String(counts));
});

test("spread: exactly the quota, ascending, each slot once, for any floats and any protection", () => {
  for (let seed = 0; seed < 400; seed++) {
    const random = randomNumbers(seed), n = 20 + Math.floor(150 * random()), scores = awkward(n, seed + 5000);
    const protectedSlots = Uint8Array.from({ length: n }, () => Number(random() < 0.2));
    const guarded = protectedSlots.reduce((sum, one) => sum + one, 0),
      quota = guarded + Math.floor((n - guarded) * random());
    let token = 0;
    const source = Int32Array.from({ length: n }, () => token += 1 + Math.floor(5 * random() ** 3));
    const keep = spread((seed % 5) / 4, 1 + seed % 23).keep(
      scores,
      context(n, quota, { protectedSlots, source, tokensRead: token + 1 }),
    );
    assert.equal(keep.length, quota);
    assert.ok(keep.every((slot, i) => i === 0 || slot > keep[i - 1]!), `ascending, seed ${seed}: ${keep}`);
    const kept = new Set(keep);
    protectedSlots.forEach((one, slot) => assert.ok(!one || kept.has(slot), `protected ${slot}, seed ${seed}`));
  }
});

test("spread: the floor is shared over the parts, the rest goes to the highest scores wherever they are", () => {
  const n = 1000, scores = new Float32Array(n).fill(1);
  scores.fill(2, 900); // the newest part outbids all others
  const keep = spread(0.4, 10).keep(scores, context(n, 100));
  const perPart = Array<number>(10).fill(0);
  for (const slot of keep) perPart[Math.floor(slot / 100)]!++;
  assert.deepEqual(perPart, [4, 4, 4, 4, 4, 4, 4, 4, 4, 64]);
});
