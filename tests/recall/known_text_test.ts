import assert from "node:assert/strict";
import { test } from "node:test";
import { KvCache, MEMORY_SOURCE } from "../../core/cache.ts";
import { KnownText } from "../../core/recall/known_text.ts";
import { randomNumbers } from "../host.ts";

const SHAPE = { layers: 1, kvHeads: 2, headDim: 2 };

/** A cache whose heads have slots of these tokens. */
function cacheOf(sources: number[][]): KvCache {
  const cache = new KvCache(SHAPE, 100);
  const rows = sources.map((list) => new Float32Array(list.length * SHAPE.headDim));
  const most = Math.max(...sources.map((list) => list.length));
  const padded = rows.map(() => new Float32Array(most * SHAPE.headDim));
  cache.append(padded, padded, most, 0, 0);
  sources.forEach((list, head) => {
    cache.live[head] = list.length;
    cache.sources(head).set(list);
  });
  return cache;
}
const placesOf = (text: KnownText, to = 1e6) =>
  text.between(0, to).flatMap(({ from, tokens }) => tokens.map((_, i) => from + i));

test("what stands near a slot of any head stays known, the rest is forgotten", () => {
  const text = new KnownText(2);
  text.append(Array.from({ length: 50 }, (_, i) => 1000 + i), 0);
  text.forget(cacheOf([[0, 10], [MEMORY_SOURCE, 30, 31]]), 50);
  assert.deepEqual(placesOf(text), [0, 1, 2, 8, 9, 10, 11, 12, 28, 29, 30, 31, 32, 33]);
  assert.deepEqual(text.between(9, 29), [{ from: 9, tokens: [1009, 1010, 1011, 1012] }, {
    from: 28,
    tokens: [1028, 1029],
  }]);
  assert.deepEqual(text.between(13, 27), []);
});

test("a document of any length: what stands far behind is found as well", () => {
  const text = new KnownText(1);
  for (const read of [0, 50_000, 1_000_000]) {
    text.append(Array.from({ length: 40 }, (_, i) => i), read);
    const slots = [0, 50_000, 1_000_000].filter((source) => source <= read).map((source) => source + 31);
    text.forget(cacheOf([slots, []]), read + 40);
    assert.deepEqual(placesOf(text, 2e6), slots.flatMap((source) => [source - 1, source, source + 1]));
  }
});

test("many chunks: as if the whole text had been looked through each time, and no more than the slots allow", () => {
  const random = randomNumbers(3), text = new KnownText(3), expected = new Set<number>();
  let sources: number[][] = [[], []];
  for (let read = 0; read < 3000; read += 100) {
    text.append(Array.from({ length: 100 }, (_, i) => read + i + 7), read);
    for (let i = 0; i < 100; i++) expected.add(read + i);
    sources = sources.map((list) =>
      [...list, ...Array.from({ length: 100 }, (_, i) => read + i)].filter(() => random() < 0.3).slice(-90)
    );
    text.forget(cacheOf(sources), read + 100);
    for (const place of expected) {
      if (!sources.some((list) => list.some((source) => Math.abs(source - place) <= 3))) expected.delete(place);
    }
    assert.deepEqual(placesOf(text), [...expected].sort((a, b) => a - b));
    assert.ok(text.length <= 7 * sources.reduce((sum, list) => sum + list.length, 0));
  }
  for (const { from, tokens } of text.between(0, 3000)) tokens.forEach((id, i) => assert.equal(id, from + i + 7));
});
