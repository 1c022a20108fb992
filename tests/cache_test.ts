import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesPerSlot, KvCache } from "../core/cache.ts";
import { BudgetError } from "../core/errors.ts";

const SHAPE = { layers: 2, kvHeads: 3, headDim: 4 };

/** Rows [count, headDim] per head, every number different. */
function rows(count: number, base: number): Float32Array[] {
  return Array.from(
    { length: SHAPE.layers * SHAPE.kvHeads },
    (_, head) => Float32Array.from({ length: count * SHAPE.headDim }, (_, i) => base + head * 100 + i),
  );
}

test("KvCache: counts every byte that it allocates", () => {
  const cache = new KvCache(SHAPE, 10);
  const { keys, values, source, position } = cache;
  const allocated = [keys, values, source, position].reduce((sum, array) => sum + array.byteLength, 0);
  assert.equal(cache.bytes, allocated);
  assert.equal(cache.bytes, bytesPerSlot(SHAPE) * 10 * 6);
  assert.deepEqual([cache.meanLive, cache.peakLive], [0, 0]);
});

test("KvCache.append: rows, sources and positions stand where the head's run goes on", () => {
  const cache = new KvCache(SHAPE, 10);
  cache.append(rows(3, 1000), rows(3, 2000), 3, 7, 107);
  cache.append(rows(4, 3000), rows(4, 4000), 2, 10, 210); // the first two of four rows
  for (let head = 0; head < cache.heads; head++) {
    assert.deepEqual([...cache.keyRows(head)], [...rows(3, 1000)[head]!, ...rows(4, 3000)[head]!.subarray(0, 8)]);
    assert.deepEqual([...cache.valueRows(head)], [...rows(3, 2000)[head]!, ...rows(4, 4000)[head]!.subarray(0, 8)]);
    const start = cache.start[head]!;
    assert.deepEqual([...cache.source.subarray(start, start + 5)], [7, 8, 9, 10, 11]);
    assert.deepEqual([...cache.position.subarray(start, start + 5)], [107, 108, 109, 210, 211]);
  }
  assert.deepEqual([...cache.live], [5, 5, 5, 5, 5, 5]);
  assert.equal(cache.keyRows(1).buffer, cache.keys.buffer, "a view on the pool");
});

test("KvCache.append: fills a run to its last slot, and an overflow is an error before a head loses a row of another", () => {
  const cache = new KvCache(SHAPE, 5);
  cache.append(rows(5, 0), rows(5, 50), 5, 0, 0);
  const keys = cache.keys.slice();
  assert.throws(() => cache.append(rows(1, 9), rows(1, 9), 1, 5, 5), /overflow in head 0: 5 live slots \+ 1 > 5/);
  assert.deepEqual(cache.keys, keys);
  assert.equal(cache.meanLive, 5);
});

test("KvCache: narrowed shows the sinks and a stretch, forgets what is appended, and puts every row back", async () => {
  const cache = new KvCache(SHAPE, 10);
  cache.append(rows(6, 0), rows(6, 0), 6, 0, 0);
  const keys = cache.keys.slice(), values = cache.values.slice(), before = cache.live.slice();
  const width = SHAPE.headDim;
  await cache.narrowed(4, 2, async () => {
    for (let head = 0; head < cache.heads; head++) {
      const whole = keys.subarray(head * 10 * width, (head * 10 + 6) * width);
      const seen = [0, 1, 4, 5].flatMap((slot) => [...whole.subarray(slot * width, (slot + 1) * width)]);
      assert.deepEqual([...cache.keyRows(head)], seen);
    }
    cache.append(rows(1, 9), rows(1, 9), 1, 6, 6);
    assert.equal(cache.meanLive, 5);
    await Promise.resolve();
  });
  assert.deepEqual(cache.live, before);
  for (let head = 0; head < cache.heads; head++) {
    const at = head * 10 * width;
    assert.deepEqual(cache.keyRows(head), keys.subarray(at, at + 6 * width));
    assert.deepEqual(cache.valueRows(head), values.subarray(at, at + 6 * width));
  }
});

test("KvCache: an attribute of several numbers is appended, moved, laid out and narrowed with its slots, and counted", async () => {
  const width = 3, cache = new KvCache(SHAPE, 10, ["score", { name: "indexerKey", width }]);
  assert.equal(cache.bytes, (bytesPerSlot(SHAPE) + 4 * (1 + width)) * 10 * 6);
  assert.deepEqual([cache.width("score"), cache.width("indexerKey")], [1, width]);
  const slotOf = (head: number, token: number) => [0, 1, 2].map((i) => 100 * head + 10 * token + i);
  const given = Array.from(
    { length: cache.heads },
    (_, head) => Float32Array.from([0, 1, 2, 3, 4, 5, 6].flatMap((token) => slotOf(head, token))),
  );
  cache.append(rows(7, 0), rows(7, 0), 6, 0, 0, { indexerKey: given }); // the first six of seven rows
  cache.append(rows(1, 50), rows(1, 50), 1, 6, 6); // not given: zeros
  const holds = (head: number, tokens: number[]) =>
    assert.deepEqual(
      [...cache.attribute("indexerKey", head)],
      tokens.flatMap((token) => token < 6 ? slotOf(head, token) : [0, 0, 0]),
    );
  for (let head = 0; head < cache.heads; head++) holds(head, [0, 1, 2, 3, 4, 5, 6]);
  await cache.narrowed(4, 2, () => {
    for (let head = 0; head < cache.heads; head++) holds(head, [0, 1, 4, 5, 6]);
    return Promise.resolve();
  });
  for (let head = 0; head < cache.heads; head++) {
    // every other head keeps three slots, the others six
    const start = cache.start[head]!, keep = head % 2 ? [1, 4, 6] : [0, 1, 2, 4, 5, 6];
    keep.forEach((slot, to) => cache.move(start + slot, start + to, 1));
    cache.live[head] = keep.length;
  }
  cache.layOut();
  for (let head = 0; head < cache.heads; head++) {
    holds(head, head % 2 ? [1, 4, 6] : [0, 1, 2, 4, 5, 6]);
    assert.deepEqual([...cache.sources(head)], head % 2 ? [1, 4, 6] : [0, 1, 2, 4, 5, 6]);
  }
});

test("KvCache: memory that cannot be had is a BudgetError that names the size and the flag", () => {
  assert.throws(
    () => new KvCache({ layers: 1000, kvHeads: 1000, headDim: 1000 }, 1e6),
    (error) => error instanceof BudgetError && /1000000 slots.*GiB.*--kv-budget/.test(error.message),
  );
});
