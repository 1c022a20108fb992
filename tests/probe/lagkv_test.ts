import assert from "node:assert/strict";
import { test } from "node:test";
import type { KvCache } from "../../core/cache.ts";
import { lagkv } from "../../core/probe/lagkv.ts";
import { randomNumbers } from "../host.ts";
import { inventedCache } from "./context.ts";

const SHAPE = { layers: 1, kvHeads: 2, headDim: 8 }, SLOTS = 75, LAG = 10, SINKS = 4;
const numbers = randomNumbers(9), table = Float32Array.from({ length: 2 * 2 * SLOTS * 8 }, () => numbers() * 2 - 1);
const key = (head: number, slot: number, d: number) => table[(head * SLOTS + slot) * 8 + d]!;
const value = (head: number, slot: number, d: number) => table[((2 + head) * SLOTS + slot) * 8 + d]!;

/** kvpress, in plain loops: rank / lag of every token of the partitions that have a whole one behind them. */
function reference(head: number, tokens: number): number[] {
  const ranks: number[] = [];
  for (let from = SINKS; from + 2 * LAG <= tokens; from += LAG) {
    const both = [key, value].map((of) => {
      const deviations = Array.from({ length: LAG }, (_, i) => {
        const scaled = Array.from({ length: 8 }, (_, d) => {
          const next = Array.from({ length: LAG }, (_, j) => of(head, from + LAG + j, d));
          const low = Math.min(...next), high = Math.max(...next);
          return (of(head, from + i, d) - low) / (high - low);
        });
        const mean = scaled.reduce((a, b) => a + b) / 8;
        return Math.sqrt(scaled.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 7);
      });
      const exps = deviations.map(Math.exp), sum = exps.reduce((a, b) => a + b);
      return exps.map((x) => x / sum);
    });
    const scores = both[0]!.map((score, i) => (score + both[1]![i]!) / 2);
    ranks.push(...scores.map((score) => scores.filter((other) => other < score).length / LAG));
  }
  return ranks;
}

const probe = lagkv(LAG, SINKS);
const scoresOf = async (cache: KvCache, tokensRead: number) =>
  (await probe.look({ cache, tokensRead } as never)).score!.map((row) => [...row]);
const close = (measured: number[], asked: number[], what = "") => {
  assert.equal(measured.length, asked.length, what);
  measured.forEach((score, i) => assert.ok(Math.abs(score - asked[i]!) < 1e-6, `${what} ${i}: ${score} ${asked[i]}`));
};

/** The first `tokens` of the table. */
function cacheOf(tokens: number): KvCache {
  const cache = inventedCache(SHAPE, SLOTS, { key, value }, probe.attributes);
  cache.live.fill(tokens);
  return cache;
}

test("lagkv: ranks within partitions by the spread against the next one; what nothing judges yet is above all, newer higher", async () => {
  for (const tokens of [3, 20, 23, 24, 33, 34, 75]) {
    const scores = await scoresOf(cacheOf(tokens), tokens);
    for (let head = 0; head < 2; head++) {
      const asked = reference(head, tokens),
        row = scores[head]!,
        open = [...row.keys()].filter((slot) => row[slot]! > 1);
      close(row.slice(SINKS, SINKS + asked.length), asked, `${tokens} tokens`);
      const unscored = [...row.keys()].filter((slot) => slot < SINKS || slot >= SINKS + asked.length);
      assert.deepEqual(open, unscored, `${tokens} tokens`);
      for (let i = 1; i < open.length; i++) assert.ok(row[open[i]!]! > row[open[i - 1]!]!);
    }
  }
});

test("lagkv: a score is given once and stays when its partition and the next are thinned out", async () => {
  const cache = cacheOf(53), before = await scoresOf(cache, 53);
  // of the first 40 tokens every other one goes
  for (let head = 0; head < 2; head++) {
    const start = cache.start[head]!;
    for (let slot = 1; slot < 20; slot++) cache.move(start + 2 * slot, start + slot, 1);
    cache.move(start + 40, start + 20, 13);
    cache.live[head] = 33;
  }
  const after = await scoresOf(cache, 53);
  for (let head = 0; head < 2; head++) {
    // partitions 4…13, 14…23, 24…33 were judged
    for (let token = 4; token < 34; token += 2) assert.equal(after[head]![token / 2], before[head]![token]);
    assert.ok(after[head]!.slice(17).every((score) => score > 1), "tokens from 34 on wait for those to come");
  }
});

test("lagkv: a partition that lost rows before it was judged is ranked among those that are left", async () => {
  const cache = cacheOf(24);
  for (let head = 0; head < 2; head++) {
    const start = cache.start[head]!;
    cache.move(start + 10, start + 4, 14); // of the first partition, tokens 10…13 are left
    cache.live[head] = 18;
  }
  for (const row of await scoresOf(cache, 24)) {
    close(row.slice(4, 8).sort((a, b) => a - b), [0, 0.1, 0.2, 0.3]);
    assert.ok(row.slice(8).every((score) => score > 1));
  }
});
