import assert from "node:assert/strict";
import { test } from "node:test";
import { KvCache } from "../core/cache.ts";
import { compact } from "../core/compact.ts";
import { Rope } from "../core/rope.ts";
import { randomNumbers } from "./host.ts";
import { difference } from "./tiny_llama.ts";

const CONFIG = { layers: 1, kvHeads: 3, headDim: 4, ropeTheta: 10000, ropeScaling: null };
const rope = new Rope(CONFIG);

/** A row of token `token` in a head, rotated to `position`; at position 0 it is what the model computed. */
function row(head: number, token: number, position: number): Float32Array {
  const random = randomNumbers(head * 100_003 + token);
  const key = Float32Array.from({ length: 4 }, () => 2 * random() - 1);
  rope.shift(key, 0, 0, position);
  return key;
}

const value = (head: number, token: number) => Float32Array.of(head, token, -head, -token);

/** Tokens 0…count-1 at positions 0…, appended to what is there. */
function append(cache: KvCache, count: number, firstToken = 0, firstPosition = firstToken): void {
  const rows = (make: (head: number, i: number) => Float32Array) =>
    Array.from({ length: cache.heads }, (_, head) => {
      const out = new Float32Array(count * 4);
      for (let i = 0; i < count; i++) out.set(make(head, i), i * 4);
      return out;
    });
  cache.append(
    rows((head, i) => row(head, firstToken + i, firstPosition + i)),
    rows((head, i) => value(head, firstToken + i)),
    count,
    firstToken,
    firstPosition,
  );
}

const slots = (
  cache: KvCache,
  array: Int32Array,
  head: number,
) => [...array.subarray(cache.start[head]!, cache.start[head]! + cache.live[head]!)];

/** Every live row is that of its source token, rotated to its position. */
function assertConsistent(cache: KvCache, tolerance = 1e-5): void {
  for (let head = 0; head < cache.heads; head++) {
    const source = slots(cache, cache.source, head), position = slots(cache, cache.position, head);
    source.forEach((token, slot) => {
      const key = cache.keyRows(head).subarray(slot * 4, slot * 4 + 4);
      assert.ok(difference(key, row(head, token, position[slot]!)) < tolerance, `key of head ${head}, slot ${slot}`);
      assert.deepEqual([...cache.valueRows(head).subarray(slot * 4, slot * 4 + 4)], [...value(head, token)]);
    });
  }
}

test("compact: keep = everything is the identity, under both positions", () => {
  for (const positions of ["original", "compact"] as const) {
    const cache = new KvCache(CONFIG, 20);
    append(cache, 15);
    const before = [cache.keys, cache.values, cache.source, cache.position, cache.live].map((array) => array.slice());
    const keep = Array.from({ length: 3 }, () => Int32Array.from({ length: 15 }, (_, slot) => slot));
    assert.equal(compact(cache, keep, positions, rope, 15), 15);
    const now = [cache.keys, cache.values, cache.source, cache.position, cache.live];
    now.forEach((array, i) => assert.deepEqual(array, before[i], positions));
  }
});

test("compact: original positions stay, rows move together in order", () => {
  const cache = new KvCache(CONFIG, 20);
  append(cache, 15);
  const keep = [Int32Array.of(0, 1, 2, 7, 8, 14), Int32Array.of(3), Int32Array.of(0, 13, 14)];
  assert.equal(compact(cache, keep, "original", rope, 15), 15);
  keep.forEach((kept, head) => {
    assert.deepEqual(slots(cache, cache.source, head), [...kept]);
    assert.deepEqual(slots(cache, cache.position, head), [...kept]);
  });
  assertConsistent(cache);
});

test("compact: compact positions stand sinks at 0… and right-align the rest of every head", () => {
  const cache = new KvCache(CONFIG, 20);
  append(cache, 15);
  const keep = [
    Int32Array.of(0, 1, 2, 3, 7, 8, 11, 14),
    Int32Array.of(0, 1, 2, 3, 9, 14),
    Int32Array.of(0, 1, 2, 3, 14),
  ];
  assert.equal(compact(cache, keep, "compact", rope, 15, 4), 8);
  assert.deepEqual(slots(cache, cache.position, 0), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(slots(cache, cache.position, 1), [0, 1, 2, 3, 6, 7]);
  assert.deepEqual(
    slots(cache, cache.position, 2),
    [0, 1, 2, 3, 7],
    "the newest stands directly before the next token",
  );
  keep.forEach((kept, head) => assert.deepEqual(slots(cache, cache.source, head), [...kept]));
  assertConsistent(cache);
});

test("compact: heads that keep nothing or fewer than the sinks", () => {
  const cache = new KvCache(CONFIG, 20);
  append(cache, 10);
  const keep = [new Int32Array(0), Int32Array.of(0, 2), Int32Array.of(0, 1, 2, 3, 9)];
  assert.equal(compact(cache, keep, "compact", rope, 10, 4), 5);
  assert.deepEqual([...cache.live], [0, 2, 5]);
  assert.deepEqual(slots(cache, cache.position, 1), [0, 1]);
  assertConsistent(cache);
  append(cache, 1, 10, 5);
  assert.deepEqual(slots(cache, cache.source, 0), [10]);
  assertConsistent(cache);
});

test("compact: switching from original to compact positions in the middle", () => {
  const cache = new KvCache(CONFIG, 20);
  append(cache, 12);
  const every = (...kept: number[]) => Array.from({ length: 3 }, () => Int32Array.from(kept));
  assert.equal(compact(cache, every(0, 1, 2, 3, 6, 11), "original", rope, 12), 12);
  append(cache, 6, 12, 12);
  assert.equal(compact(cache, every(0, 1, 2, 3, 4, 9, 11), "compact", rope, 18), 7);
  assert.deepEqual(slots(cache, cache.source, 0), [0, 1, 2, 3, 6, 15, 17]);
  assert.deepEqual(slots(cache, cache.position, 0), [0, 1, 2, 3, 4, 5, 6]);
  assertConsistent(cache);
});

test("compact: after 500 compactions with ragged heads every row is the one rotated once, within 1e-3", () => {
  const cache = new KvCache(CONFIG, 40), random = randomNumbers(7);
  append(cache, 30);
  let token = 30, next = 30;
  for (let round = 0; round < 500; round++) {
    const keep = Array.from({ length: 3 }, (_, head) => {
      const live = cache.live[head]!, chosen = new Set<number>();
      while (chosen.size < Math.min(live, 18 + 4 * head)) {
        // old slots are hard to lose, so that some live through all of it
        chosen.add(Math.floor(live * random() ** 2));
      }
      return Int32Array.from(chosen).sort();
    });
    next = compact(cache, keep, "compact", rope, next, 4);
    const count = 1 + Math.floor(10 * random());
    append(cache, count, token, next);
    token += count;
    next += count;
  }
  assertConsistent(cache, 1e-3);
  for (let head = 0; head < 3; head++) {
    const source = slots(cache, cache.source, head), position = slots(cache, cache.position, head);
    assert.ok(source.every((token, slot) => slot === 0 || token > source[slot - 1]!), "document order");
    assert.ok(position.every((at, slot) => slot === 0 || at > position[slot - 1]!));
    assert.equal(position.at(-1), next - 1);
  }
});
