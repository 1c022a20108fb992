/** The memory when heads hold different numbers of slots: what `layOut` and `compact` promise, for random choices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KvCache } from "../core/cache.ts";
import { compact } from "../core/compact.ts";
import { Rope } from "../core/rope.ts";
import { randomNumbers } from "./host.ts";

const HEAD_DIM = 4;

/** A key that tells head and token; a value that is its negative. */
const row = (head: number, token: number) => [head, token, head * 1000 + token, 0.5];

function append(cache: KvCache, count: number, token: number): void {
  const heads = Array.from({ length: cache.heads }, (_, head) => head),
    tokens = Array.from({ length: count }, (_, i) => token + i);
  const keys = heads.map((head) => Float32Array.from(tokens.flatMap((token) => row(head, token))));
  const norms = heads.map((head) => Float32Array.from(tokens, (token) => head + token / 1024));
  cache.append(keys, keys.map((rows) => rows.map((value) => -value)), count, token, token, { valueNorm: norms });
}

/** Every live slot is that of its token: row, position and attribute; in document order. */
function assertContent(cache: KvCache, kept: number[][], what: string): void {
  kept.forEach((tokens, head) => {
    assert.deepEqual([...cache.sources(head)], tokens, `head ${head}: ${what}`);
    const start = cache.start[head]!, asked = tokens.flatMap((token) => row(head, token));
    assert.deepEqual([...cache.position.subarray(start, start + tokens.length)], tokens, what);
    assert.deepEqual([...cache.keyRows(head)], asked, `keys of head ${head}: ${what}`);
    assert.deepEqual([...cache.valueRows(head)], asked.map((value) => -value), `values of head ${head}: ${what}`);
    assert.deepEqual([...cache.attribute("valueNorm", head)], tokens.map((token) => head + token / 1024), what);
  });
}

/** Runs stand one after the other inside the pool, with as much room beyond the live slots as can be shared out. */
function assertRuns(cache: KvCache, what: string): void {
  let end = 0;
  for (let head = 0; head < cache.heads; head++) {
    assert.ok(cache.start[head]! >= end, `head ${head} begins inside another: ${what}`);
    assert.ok(cache.live[head]! <= cache.room[head]!, what);
    end = cache.start[head]! + cache.room[head]!;
    assert.equal(cache.room[head]! - cache.live[head]!, cache.free, `all heads have the same room: ${what}`);
  }
  assert.ok(end <= cache.heads * cache.capacity, what);
  assert.equal(cache.free, Math.floor(cache.capacity - cache.meanLive), what);
}

test("compact, layOut: any ragged keeps, round after round: content, order, no overlap, the same bytes, room for the next chunk", () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = randomNumbers(seed), shape = { layers: 1 + seed % 4, kvHeads: 1 + seed % 3, headDim: HEAD_DIM };
    const heads = shape.layers * shape.kvHeads,
      budget = 5 + Math.floor(30 * random()),
      chunk = 1 + Math.floor(20 * random());
    const cache = new KvCache(shape, budget + chunk + 3, ["valueNorm"]), { bytes } = cache;
    const pools = [cache.keys, cache.values, cache.source, cache.position];
    const rope = new Rope({ headDim: HEAD_DIM, ropeTheta: 10000, ropeScaling: null });
    let kept: number[][] = Array.from({ length: heads }, () => []), token = 0;
    for (let round = 0; round < 12; round++) {
      const count = 1 + Math.floor(chunk * random()), what = `seed ${seed}, round ${round}`;
      append(cache, count, token);
      kept = kept.map((tokens) => [...tokens, ...Array.from({ length: count }, (_, i) => token + i)]);
      token += count;
      assertContent(cache, kept, `appended, ${what}`);
      let over = kept.reduce((sum, tokens) => sum + tokens.length, 0) - budget * heads;
      if (over <= 0) continue;
      // some heads lose nearly all, others nothing
      const keep = kept.map((tokens) => tokens.map((_, slot) => slot));
      while (over > 0) {
        const slots = keep[Math.floor(heads * random() ** 2)]!, most = Math.min(over, slots.length);
        for (let i = Math.floor(most * random()) + (most > 0 ? 1 : 0); i > 0; i--, over--) {
          slots.splice(Math.floor(slots.length * random()), 1);
        }
      }
      kept = kept.map((tokens, head) => keep[head]!.map((slot) => tokens[slot]!));
      compact(cache, keep.map((slots) => Int32Array.from(slots)), "original", rope, token);
      assertContent(cache, kept, what);
      assertRuns(cache, what);
      assert.ok(cache.free >= chunk + 3, `room for a chunk and the reserve, ${what}`);
      assert.ok([cache.keys, cache.values, cache.source, cache.position].every((pool, i) => pool === pools[i]));
      assert.equal(cache.bytes, bytes);
    }
    assert.ok(cache.peakLive <= cache.capacity);
  }
});

test("compact: keep = everything is the identity with ragged heads too, to the last byte of the pools", () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = randomNumbers(seed), rope = new Rope({ headDim: HEAD_DIM, ropeTheta: 10000, ropeScaling: null });
    const cache = new KvCache({ layers: 2, kvHeads: 2, headDim: HEAD_DIM }, 40, ["valueNorm"]);
    append(cache, 20, 0);
    const some = Array.from(
      cache.live,
      (live) => Int32Array.from({ length: live }, (_, slot) => slot).filter(() => random() < 0.6),
    );
    compact(cache, some, "original", rope, 20);
    append(cache, 7, 20);
    const state = () => [cache.keys, cache.values, cache.source, cache.position, cache.start, cache.live, cache.room];
    const before = state().map((array) => array.slice());
    for (let again = 0; again < 3; again++) {
      const all = Array.from(cache.live, (live) => Int32Array.from({ length: live }, (_, slot) => slot));
      assert.equal(compact(cache, all, "original", rope, 27), 27);
      state().forEach((array, i) => assert.deepEqual(array, before[i]));
    }
  }
});

test("KvCache.narrowed: every ragged head shows its sinks and its own slots of the stretch, and gets all back", async () => {
  const rope = new Rope({ headDim: HEAD_DIM, ropeTheta: 10000, ropeScaling: null });
  const cache = new KvCache({ layers: 1, kvHeads: 3, headDim: HEAD_DIM }, 30, ["valueNorm"]);
  append(cache, 20, 0);
  const kept = [[0, 1, 5, 9, 14, 19], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 18, 19], [0, 1, 19]];
  compact(cache, kept.map((slots) => Int32Array.from(slots)), "original", rope, 20);
  const { free } = cache;
  await cache.narrowed(9, 2, () => {
    for (const [head, tokens] of kept.entries()) {
      const seen = tokens.filter((token) => token < 2 || token >= 9).flatMap((token) => row(head, token));
      assert.deepEqual([...cache.keyRows(head)], seen, `head ${head}`);
      const norms = tokens.filter((token) => token < 2 || token >= 9).map((token) => head + token / 1024);
      assert.deepEqual([...cache.attribute("valueNorm", head)], norms, "attributes too: a pass reads biases");
    }
    assert.equal(cache.free, free);
    append(cache, 4, 20);
    return Promise.resolve();
  });
  assertContent(cache, kept, "after it");
  assertRuns(cache, "after it");
});
