/** Rows in float16 and int8: how far they are from what was written, and what moves with them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bytesPerSlot, KvCache } from "../core/cache.ts";
import { BYTES_PER_ROW, StoredRows, type StoredType } from "../core/stored_rows.ts";
import { Rope } from "../core/rope.ts";
import { seeded } from "../core/eval/random.ts";

const WIDTH = 16, TYPES: StoredType[] = ["f32", "f16", "int8"];
const next = seeded(5);
/** Rows of very different lengths, one of zeros among them. */
const rows = Float32Array.from({ length: 40 * WIDTH }, (_, i) => {
  const row = Math.floor(i / WIDTH);
  return row === 7 ? 0 : (next() - 0.5) * 10 ** (row % 7 - 3);
});
const largest = (row: Float32Array) => row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

describe("StoredRows", () => {
  for (const type of TYPES) {
    test(`${type}: what is read is as near as the type allows, and written again it stays, bit for bit`, () => {
      const stored = new StoredRows(type, 60, WIDTH);
      stored.write(9, rows);
      const read = stored.read(9, 40).slice();
      for (let row = 0; row < 40; row++) {
        const [mine, theirs] = [read, rows].map((all) => all.subarray(row * WIDTH, (row + 1) * WIDTH)) as [
          Float32Array,
          Float32Array,
        ];
        const step = type === "f32" ? 0 : type === "f16" ? 2 ** -11 : 1 / 254, most = largest(theirs);
        mine.forEach((x, i) => {
          // half of a step of the row's largest number, or of the number itself; below 2^-14 float16 has steps of 2^-24
          const bound = type === "int8"
            ? most * step * 1.0001
            : Math.max(Math.abs(theirs[i]!) * step, type === "f16" ? 2 ** -25 : 0);
          assert.ok(Math.abs(x - theirs[i]!) <= bound, `row ${row}: ${x} for ${theirs[i]}`);
        });
      }
      for (let again = 0; again < 3; again++) {
        stored.write(9, stored.read(9, 40));
        assert.deepEqual(stored.read(9, 40), read);
      }
    });

    test(`${type}: bytes are those that are counted`, () => {
      const { pools } = new StoredRows(type, 60, WIDTH);
      assert.equal(pools.reduce((sum, [pool]) => sum + pool.byteLength, 0), 60 * BYTES_PER_ROW[type](WIDTH));
    });
  }
});

describe("KvCache", () => {
  const shape = { layers: 2, kvHeads: 2, headDim: WIDTH }, heads = 4;
  const given = (seed: number) => Array.from({ length: heads }, (_, head) => rows.map((x) => x * (1 + head + seed)));
  const opened = (type: StoredType) => {
    const cache = new KvCache(shape, 100, ["score"], 0, type);
    cache.append(given(0), given(3), 40, 0, 0);
    return cache;
  };

  for (const type of TYPES) {
    test(`${type}: rows move with their slots, narrowed and back too`, async () => {
      const cache = opened(type),
        before = Array.from(
          { length: heads },
          (_, head) => [cache.keyRows(head).slice(), cache.valueRows(head).slice()],
        );
      assert.equal(cache.bytes, heads * 100 * bytesPerSlot(shape, 1, type));
      await cache.narrowed(20, 4, () => {
        assert.equal(cache.live[0], 24);
        assert.deepEqual(cache.keyRows(1).subarray(4 * WIDTH), before[1]![0]!.subarray(20 * WIDTH));
        assert.deepEqual(cache.valueRows(1).subarray(0, 4 * WIDTH), before[1]![1]!.subarray(0, 4 * WIDTH));
        return Promise.resolve();
      });
      before.forEach(([keys, values], head) =>
        assert.deepEqual([cache.keyRows(head).slice(), cache.valueRows(head).slice()], [keys, values])
      );
      cache.move(cache.start[2]! + 30, cache.start[2]! + 3, 5);
      assert.deepEqual(
        cache.keyRows(2).subarray(3 * WIDTH, 8 * WIDTH),
        before[2]![0]!.subarray(30 * WIDTH, 35 * WIDTH),
      );
    });

    test(`${type}: what a compensation changes is put back`, () => {
      const cache = opened(type), values = cache.valueRows(1), untouched = cache.keyRows(1).slice();
      values.fill(0.5, 5 * WIDTH, 6 * WIDTH);
      cache.rewrite(1, { values });
      assert.ok(cache.valueRows(1).subarray(5 * WIDTH, 6 * WIDTH).every((x) => Math.abs(x - 0.5) < 1e-6));
      assert.deepEqual(cache.keyRows(1).slice(), untouched);
    });
  }

  test("int8: a key that is turned at sixty compactions stays within 8 % of one that is turned once", () => {
    const rope = new Rope({ headDim: WIDTH, ropeTheta: 10_000, ropeScaling: null }),
      cache = opened("int8"),
      exact = opened("f32");
    for (let step = 1; step <= 60; step++) {
      cache.turn(0, 40, rope, (slot) => slot + 512 - 7 * step);
    }
    exact.turn(0, 40, rope, (slot) => slot + 512 - 420);
    const [mine, theirs] = [cache.keyRows(0), exact.keyRows(0)];
    for (let slot = 0; slot < 40; slot++) {
      const [a, b] = [mine, theirs].map((all) => all.subarray(slot * WIDTH, (slot + 1) * WIDTH)) as [
        Float32Array,
        Float32Array,
      ];
      const error = Math.hypot(...a.map((x, i) => x - b[i]!)) / Math.max(1e-30, Math.hypot(...b));
      assert.ok(error < 0.08, `slot ${slot}: ${error}`);
    }
  });
});
