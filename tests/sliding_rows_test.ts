import assert from "node:assert/strict";
import { test } from "node:test";
import { slidingBytes, SlidingRows } from "../core/sliding_rows.ts";
import { randomNumbers } from "./host.ts";

const HEADS = 3, D = 2;

/** Rows that say which token they are of. */
const rows = (first: number, count: number, sign: number) =>
  Array.from(
    { length: HEADS },
    (_, head) => Float32Array.from({ length: count * D }, (_, i) => sign * (1000 * head + first + Math.floor(i / D))),
  );

/** Tokens of a head's rows; keys and values agree. */
function tokensOf(sliding: SlidingRows, head: number): number[] {
  const keys = sliding.keyRows(head), values = sliding.valueRows(head);
  assert.equal(keys.length, sliding.live * D);
  assert.deepEqual([...values], [...keys].map((key) => -key));
  return Array.from({ length: sliding.live }, (_, row) => keys[row * D]! - 1000 * head);
}

test("SlidingRows: whatever is appended, every head holds the newest window - 1 tokens, in order", () => {
  const random = randomNumbers(1);
  for (const window of [2, 5, 64, 200]) {
    const sliding = new SlidingRows({ layers: HEADS, window }, 1, D);
    let tokens = 0;
    for (let round = 0; round < 300; round++) {
      const count = random() < 0.7 ? 1 : Math.floor(random() * 2.5 * window);
      // rows behind the first `count` are a probe's, and not appended
      sliding.append(rows(tokens, count + round % 3, 1), rows(tokens, count + round % 3, -1), count);
      tokens += count;
      const held = Math.min(tokens, window - 1);
      const asked = Array.from({ length: held }, (_, i) => tokens - held + i);
      for (let head = 0; head < HEADS; head++) assert.deepEqual(tokensOf(sliding, head), asked, `window ${window}`);
    }
  }
});

test("SlidingRows.narrowed: only later tokens are seen, and everything is as before afterwards, also after an error", async () => {
  const sliding = new SlidingRows({ layers: HEADS, window: 20 }, 1, D);
  sliding.append(rows(0, 50, 1), rows(0, 50, -1), 50);
  sliding.movedBy(7);
  const before = tokensOf(sliding, 1);
  await assert.rejects(
    sliding.narrowed(45, async () => {
      assert.deepEqual(tokensOf(sliding, 2), [45, 46, 47, 48, 49]);
      sliding.append(rows(50, 90, 1), rows(50, 90, -1), 90);
      sliding.movedBy(3);
      throw new Error("interrupted");
    }),
    /interrupted/,
  );
  assert.deepEqual(tokensOf(sliding, 1), before);
  assert.equal(sliding.shift, 7);
  await sliding.narrowed(0, async () => assert.deepEqual(tokensOf(sliding, 0), before));
  await sliding.narrowed(60, async () => assert.equal(sliding.live, 0));
  sliding.append(rows(50, 1, 1), rows(50, 1, -1), 1);
  assert.deepEqual(tokensOf(sliding, 1), [...before.slice(1), 50]);
});

test("slidingBytes: a window less one and a little room for every head, keys and values; nothing without such layers", () => {
  assert.equal(slidingBytes({ layers: 15, window: 512 }, 1, 256), 15 * (511 + 64) * 256 * 2 * 4);
  assert.equal(slidingBytes(undefined, 1, 256), 0);
});
