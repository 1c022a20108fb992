import assert from "node:assert/strict";
import { test } from "node:test";
import type { SelectContext } from "../core/policy.ts";
import { spread } from "../core/select/spread.ts";
import { highest, topk } from "../core/select/topk.ts";
import { randomNumbers } from "./host.ts";

/** By sorting: highest first, NaN below everything, ties to the earlier index. */
function sorted(scores: Float32Array, count: number): number[] {
  const rank = (value: number) => Number.isNaN(value) ? -Infinity : value;
  const order = [...scores.keys()].sort((a, b) =>
    Number(Number.isNaN(scores[a])) - Number(Number.isNaN(scores[b])) || compare(rank(scores[b]!), rank(scores[a]!)) ||
    a - b
  );
  return order.slice(0, count).sort((a, b) => a - b);
}

/** -0 equals 0, and infinities can be compared, which subtraction cannot. */
const compare = (a: number, b: number) => a < b ? -1 : a > b ? 1 : 0;

/** Scores with many ties and everything that floats can be. */
function awkward(n: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  const special = [
    NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1e-45,
    -1e-45,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1,
    -1,
  ];
  return Float32Array.from({ length: n }, () => {
    const kind = random();
    if (kind < 0.3) return special[Math.floor(special.length * random())]!;
    if (kind < 0.6) return Math.floor(8 * random()) / 8;
    return (random() - 0.3) * 10 ** Math.floor(12 * random() - 8);
  });
}

function context(n: number, quota: number, more: Partial<SelectContext> = {}): SelectContext {
  return {
    quota,
    protectedSlots: new Uint8Array(n),
    source: Int32Array.from({ length: n }, (_, i) => i),
    valueNorm: new Float32Array(0),
    tokensRead: n,
    ...more,
  };
}

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
