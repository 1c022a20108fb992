import assert from "node:assert/strict";
import { test } from "node:test";
import { keydiff } from "../../core/probe/keydiff.ts";
import { randomNumbers } from "../host.ts";
import { inventedCache, worst } from "./context.ts";

const SHAPE = { layers: 2, kvHeads: 2, headDim: 6 }, SLOTS = 40;
const numbers = randomNumbers(4), table = Float32Array.from({ length: 4 * SLOTS * 6 }, () => numbers() - 0.3);
const key = (head: number, slot: number, d: number) => table[(head * SLOTS + slot) * 6 + d]!;

test("keydiff: minus the cosine of each key and the mean direction of its head", async () => {
  const { score } = await keydiff().look({ cache: inventedCache(SHAPE, SLOTS, { key }) } as never);
  const asked = Array.from({ length: 4 }, (_, head) => {
    const rows = Array.from({ length: SLOTS }, (_, slot) => {
      const row = Array.from({ length: 6 }, (_, d) => key(head, slot, d)), length = Math.hypot(...row);
      return row.map((value) => value / length);
    });
    const anchor = rows[0]!.map((_, d) => rows.reduce((sum, row) => sum + row[d]!, 0) / SLOTS);
    return rows.map((row) => -row.reduce((sum, value, d) => sum + value * anchor[d]!, 0) / Math.hypot(...anchor));
  });
  assert.ok(worst(score!, asked) < 1e-6);
});

test("keydiff: a key's length does not matter, and the one unlike all others comes first", async () => {
  const odd = (head: number, slot: number, d: number) => slot === 17 ? -1 : 1 + key(head, slot, d) / 10;
  const plain = await keydiff().look({ cache: inventedCache(SHAPE, SLOTS, { key: odd }) } as never);
  const long = inventedCache(SHAPE, SLOTS, { key: (head, slot, d) => (1 + slot) * odd(head, slot, d) });
  assert.ok(worst((await keydiff().look({ cache: long } as never)).score!, plain.score!) < 1e-6);
  for (const row of plain.score!) assert.equal(row.indexOf(Math.max(...row)), 17);
});
