/** Readings whose slots are stored in less than f32: what attention sees of them, what every policy makes of them, and what they take. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { cpuAllocation, resolveBudget, widenedBytes } from "../core/budget.ts";
import { KvCache } from "../core/cache.ts";
import { compact } from "../core/compact.ts";
import { argmax } from "../core/decode/write.ts";
import type { Engine } from "../core/engine/engine.ts";
import { cacheShape } from "../core/engine/layers.ts";
import { parsePolicy, policies } from "../core/policies.ts";
import { leastBudget } from "../core/policy.ts";
import { Reader } from "../core/reader.ts";
import { Rope } from "../core/rope.ts";
import type { StoredType } from "../core/stored_rows.ts";
import { randomNumbers } from "./host.ts";
import { EVERY_FEATURE, randomPacks } from "./packs.ts";
import { difference, fakeTokenizer, openTiny, tokens } from "./tiny_llama.ts";

const NARROW = ["f16", "int8"] as const, TYPES = ["f32", ...NARROW] as const;
const QUESTION = tokens(12, 77), ANSWER = tokens(5, 78), DOCUMENT = tokens(150), CHUNK = 50, RESERVE = 24;

// opened here, not below: Deno does not wait for an asynchronous describe
const opened = await Promise.all(TYPES.map((kvType) =>
  openTiny({
    features: { ...EVERY_FEATURE, kvType },
    packs: randomPacks,
  })
));
const engines = Object.fromEntries(TYPES.map((type, i) => [type, opened[i]!.engine])) as Record<StoredType, Engine>;
const { config, packs } = engines.f32;

describe("slots in less than f32", () => {
  after(async () => {
    for (const { close } of opened) await close();
  });

  for (const type of NARROW) {
    test(`${type}: few rows and a chunk see what f32 would hold of the same slots, bit for bit`, async () => {
      const narrow = new KvCache(cacheShape(config), 200, ["logBias"], 0, type);
      const wide = new KvCache(cacheShape(config), 200, ["logBias"]);
      const prompt = { tokens: tokens(120), firstPosition: 0 };
      const first = await engines[type].pass(narrow, prompt);
      narrow.append(first.keys, first.values, 120, 0, 0);
      const heads = Array.from({ length: narrow.heads }, (_, head) => head);
      wide.append(heads.map((head) => narrow.keyRows(head)), heads.map((head) => narrow.valueRows(head)), 120, 0, 0);
      assert.ok(difference(first.keys[0]!, narrow.keyRows(0)) > 0, "storing rounds");
      for (const rows of [1, 20, 80]) {
        const pass = { tokens: tokens(rows, 9), firstPosition: 120, scoreRows: Math.min(rows, 20), logitsRows: 1 };
        const [mine, theirs] = [await engines[type].pass(narrow, pass), await engines.f32.pass(wide, pass)];
        assert.equal(difference(mine.logits!, theirs.logits!), 0, `${rows} rows`);
        for (const head of heads) assert.equal(difference(mine.mass!.max![head]!, theirs.mass!.max![head]!), 0);
        for (const head of heads) assert.equal(difference(mine.keys[head]!, theirs.keys[head]!), 0);
      }
    });

    test(`${type}: a cache of another type is refused before anything is computed`, async () => {
      const pass = { tokens: [5], firstPosition: 0 };
      const wrong = engines[type].pass(new KvCache(cacheShape(config), 20), pass);
      await assert.rejects(wrong, new RegExp(`stores f32.*written for ${type}`));
    });
  }

  /** Reads, asks and writes; what was written, and the reader. */
  async function read(name: string, type: StoredType, positions: "original" | "compact") {
    const policy = parsePolicy(name), slots = Math.max(64, leastBudget(policy) + 20);
    const sizes = { chunkTokens: CHUNK, reserve: RESERVE };
    const allocation = (slots: number) => cpuAllocation(config, policy, { slots, ...sizes }, packs, type);
    const budget = resolveBudget({
      config,
      policy,
      request: { slots: policy.evicts ? slots : 300 },
      ...sizes,
      unboundedPositions: true,
      availableBytes: 1e9,
      allocation,
    });
    const reader = new Reader(engines[type], policy, {
      budget,
      ...sizes,
      positions,
      questionTokens: QUESTION,
      answerTokens: ANSWER,
      tokenizer: fakeTokenizer,
    });
    for (let from = 0; from < DOCUMENT.length; from += CHUNK) {
      await reader.read(DOCUMENT.slice(from, from + CHUNK));
      assert.ok(!policy.evicts || reader.liveSlots <= slots, name);
    }
    let logits = await reader.write(QUESTION);
    const written: number[] = [];
    for (let i = 0; i < 4; i++) {
      assert.ok(logits.every(Number.isFinite), name);
      written.push(argmax(logits));
      logits = await reader.next(written.at(-1)!);
    }
    return { reader, written, budget, logits };
  }

  for (const type of NARROW) {
    test(`${type}: every named policy reads, evicts to its budget and writes, in the bytes that were planned`, async () => {
      for (const [turn, name] of Object.keys(policies).entries()) {
        const { reader, budget } = await read(name, type, turn % 2 ? "compact" : "original");
        assert.equal(reader.kvType, type);
        assert.equal(reader.kvBytes, budget.bytes, name);
        assert.equal(reader.widenedBytes, widenedBytes(config, budget.capacity, type));
        if (reader.policy.evicts) assert.ok(reader.compactions > 0, name);
      }
    });

    test(`${type}: the same every time, also where turned keys are rounded by chance`, async () => {
      for (const name of ["snapkv", "flow-snapkv", "adakv-snapkv"]) {
        const [one, two] = [await read(name, type, "compact"), await read(name, type, "compact")];
        assert.deepEqual(one.written, two.written);
        assert.equal(difference(one.logits, two.logits), 0, name);
        for (let head = 0; head < one.reader.cache.heads; head++) {
          assert.deepEqual(one.reader.cache.storedRows(head), two.reader.cache.storedRows(head), name);
        }
      }
    });
  }

  test("a budget in bytes is never exceeded, is used to the slot, and holds 1.9 times the slots in f16 and over 3 in int8", () => {
    const policy = parsePolicy("snapkv"), sizes = { chunkTokens: CHUNK, reserve: RESERVE };
    const resolve = (bytes: number, kvType: StoredType) =>
      resolveBudget({
        config,
        policy,
        request: { bytes },
        ...sizes,
        unboundedPositions: true,
        availableBytes: 1e12,
        kvType,
      });
    for (const bytes of [5e6, 5e6 + 1, 6_123_457]) {
      const found = TYPES.map((type) => {
        const budget = resolve(bytes, type), cache = new KvCache(config, budget.capacity, [], 0, type);
        assert.equal(cache.bytes, budget.bytes);
        assert.ok(budget.bytes <= bytes);
        const more = cpuAllocation(config, policy, { slots: budget.slots + 1, ...sizes }, {}, type);
        assert.ok(more.bytes > bytes, `${type}: one slot more is too many`);
        return budget.capacity;
      });
      assert.ok(found[1]! / found[0]! > 1.9 && found[2]! / found[0]! > 3, found.join(", "));
    }
  });

  test("500 compactions turn a key as one would: within 2 % of the longest number in f16, and 25 % of the row in int8", () => {
    const shape = { layers: 1, kvHeads: 1, headDim: 64 }, random = randomNumbers(4), count = 24;
    const given = [Float32Array.from({ length: count * 64 }, () => random() + random() + random() - 1.5)];
    const rope = new Rope({ headDim: 64, ropeTheta: 100_000, ropeScaling: null }), ropes = { of: () => rope };
    const all = [Int32Array.from({ length: count }, (_, slot) => slot)];
    /** As if 3 slots in front of these went at every compaction. */
    const turned = (type: StoredType, steps: number) => {
      const cache = new KvCache(shape, count, [], 0, type);
      cache.append(given, given, count, 0, 1500);
      for (let left = steps; left > 0; left--) {
        cache.turn(0, count, rope, (slot) => slot + 1500 * (left - 1) / steps);
      }
      compact(cache, all, "compact", ropes, count);
      return cache.keyRows(0);
    };
    const once = turned("f32", 1);
    assert.ok(difference(turned("f32", 500), once) < 1e-3);
    assert.ok(difference(turned("f16", 500), once) < 2e-2);
    const int8 = turned("int8", 500);
    for (let slot = 0; slot < count; slot++) {
      const [a, b] = [int8, once].map((rows) => rows.subarray(slot * 64, (slot + 1) * 64)) as [
        Float32Array,
        Float32Array,
      ];
      const error = Math.hypot(...a.map((x, i) => x - b[i]!)) / Math.hypot(...b);
      assert.ok(error < 0.25, `slot ${slot}: ${error}`);
    }
  });
});
