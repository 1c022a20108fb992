/** Every family's golden model under the tool's own memory: what compaction does to positions must not matter where nothing is evicted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveBudget } from "../../core/budget.ts";
import { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import { argmax } from "../../core/decode/write.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { cacheShape } from "../../core/engine/layers.ts";
import { parsePolicy } from "../../core/policies.ts";
import { featuresFor } from "../../core/policy.ts";
import { Reader } from "../../core/reader.ts";
import type { Positions } from "../../core/record.ts";
import { ropesOf } from "../../core/rope.ts";
import { forward } from "../golden/forward.ts";
import { list, using } from "../golden/open.ts";
import { fixture } from "../host.ts";
import { difference, fakeTokenizer, tokens } from "../tiny_llama.ts";

const IDS = tokens(150, 5), MORE = tokens(80, 6);
const names = (await list(fixture("golden/models"))).filter((name) => !name.startsWith("."));

for (const name of names) {
  const path = fixture(`golden/models/${name}`);

  test(`${name}: rows read at positions from 300 on and moved to 0 by compaction are those read at 0, and go on as these`, async () => {
    await using(path, {}, async ({ engine }) => {
      const { config } = engine, fresh = () => new KvCache(cacheShape(config), IDS.length + MORE.length);
      const read = async (cache: KvCache, firstPosition: number) => {
        await forward(engine, cache, IDS, { size: 40, firstPosition });
        return cache;
      };
      const asked = await read(fresh(), 0), moved = await read(fresh(), 300);
      const all = Array.from(moved.live, (live) => Int32Array.from({ length: live }, (_, slot) => slot));
      const ropes = ropesOf(config);
      assert.equal(compact(moved, all, "compact", ropes, 300 + IDS.length), IDS.length);
      for (let head = 0; head < moved.heads; head++) {
        assert.ok(difference(moved.keyRows(head), asked.keyRows(head)) < 2e-4, `keys of head ${head}`);
        assert.ok(difference(moved.valueRows(head), asked.valueRows(head)) < 2e-4, `values of head ${head}`);
      }
      // sliding layers' rows stay where they were, so what sees both must agree with itself
      for (const size of [1, 7, 80]) {
        const next = async (cache: KvCache, narrow: number) => {
          let logits: Float32Array | null = null;
          await cache.narrowed(narrow, 4, async () => {
            const options = { size, logitsRows: MORE.length, firstPosition: IDS.length };
            ({ logits } = await forward(engine, cache, MORE, options));
          });
          return logits!;
        };
        assert.ok(difference(await next(moved, 0), await next(asked, 0)) < 5e-4, `logits in chunks of ${size}`);
      }
    });
  });
}

for (const name of names) {
  test(`${name}: weights in blocks of 8 bits stay near, whatever the length of a row`, async () => {
    const logits = (weights: "f32" | "blocks") =>
      using(fixture(`golden/models/${name}`), { weights }, async ({ engine }) => {
        const cache = new KvCache(cacheShape(engine.config), IDS.length);
        return (await forward(engine, cache, IDS, { size: 100, logitsRows: 20 })).logits;
      });
    const exact = await logits("f32"), rounded = await logits("blocks");
    const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
    const error = Math.sqrt(squares(rounded.map((value, i) => value - exact[i]!)) / squares(exact));
    assert.ok(error > 0 && error < 0.1, `${error} of the logits`);
  });
}

/** A reading of 300 tokens; what it writes. */
async function written(engine: Engine, policy: string, slots: number, positions: Positions) {
  const parsed = parsePolicy(policy), chunkTokens = 64, reserve = 24;
  const budget = resolveBudget({
    config: engine.config,
    policy: parsed,
    request: { slots },
    chunkTokens,
    reserve,
    unboundedPositions: true,
    availableBytes: 4e9,
  });
  const reader = new Reader(engine, parsed, {
    budget,
    chunkTokens,
    reserve,
    positions,
    questionTokens: tokens(8, 9),
    answerTokens: tokens(4, 4),
    tokenizer: fakeTokenizer,
  });
  assert.equal(reader.kvBytes, budget.bytes, "bytes allocated are those that were said");
  const text = tokens(300, 3);
  for (let from = 0; from < text.length; from += chunkTokens) await reader.read(text.slice(from, from + chunkTokens));
  let logits = await reader.write(tokens(8, 9));
  const out: number[] = [];
  while (out.length < 8) {
    out.push(argmax(logits));
    logits = await reader.next(out.at(-1)!);
  }
  return { out, reader };
}

const POLICIES = ["critical-expected", "kvzip", "lookahead"];

for (const name of ["gemma3_text", "smollm3", "phi3_long"]) {
  test(`${name}: policies keep the budget, and with room for everything write what a full cache writes`, async () => {
    const asked = POLICIES.map((policy) => featuresFor(parsePolicy(policy)));
    const features = {
      mass: ["max", "mean"] as const,
      valueNorms: asked.some(({ valueNorms }) => valueNorms),
      queryMoments: asked.some(({ queryMoments }) => queryMoments),
    };
    await using(fixture(`golden/models/${name}`), { features }, async ({ engine }) => {
      const full = (await written(engine, "full", 400, "original")).out;
      for (const policy of POLICIES) {
        for (const positions of ["original", "compact"] as const) {
          assert.deepEqual((await written(engine, policy, 400, positions)).out, full, `${policy}, ${positions}`);
          const { reader } = await written(engine, policy, 100, positions);
          assert.ok(reader.compactions >= 3 && reader.evicted > 0, policy);
          if (positions === "compact") {
            assert.ok(reader.nextPosition <= 100 + 64 + 24, `position ${reader.nextPosition}`);
          }
        }
      }
    });
  });
}

test("gemma3_text: its sliding layers are outside of the budget, and hold their window whatever the budget", async () => {
  await using(fixture("golden/models/gemma3_text"), { features: { mass: ["max"] } }, async ({ engine }) => {
    const { reader } = await written(engine, "question", 100, "compact");
    const { cache } = reader;
    assert.equal(cache.heads, 1, "one of four layers sees everything");
    assert.deepEqual([cache.sliding!.heads, cache.sliding!.live], [3, 63]);
    const smaller = (await written(engine, "question", 50, "compact")).reader;
    assert.equal(reader.kvBytes - smaller.kvBytes, 50 * (engine.config.headDim * 2 * 4 + 8));
  });
});

test("of the families only Qwen 2 and Phi 3 are not stored in half precision by themselves", async () => {
  const large: string[] = [];
  for (const name of names) {
    await using(fixture(`golden/models/${name}`), {}, ({ engine: { config } }) => {
      if (config.largeProducts) large.push(name);
      return Promise.resolve();
    });
  }
  assert.deepEqual(large, ["phi3", "phi3_long", "qwen2"]);
});
