import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import type { Engine, PassResult } from "../../core/engine/engine.ts";
import type { WeightFormat } from "../../core/engine/execution_forms.ts";
import { Rope } from "../../core/rope.ts";
import { cacheFor, forward } from "../golden/forward.ts";
import { using } from "../golden/open.ts";
import { fixture, randomNumbers } from "../host.ts";
import { difference, openTiny, PROMPT, TINY, tokens } from "../tiny_llama.ts";
import { ReferenceLlama, referenceMass } from "./reference_llama.ts";

// opened here, not below: Deno does not wait for an asynchronous describe, and would run nothing of it
const mean = await openTiny({ features: { mass: ["mean"] } }), max = await openTiny({ features: { mass: ["max"] } });
const reference = await ReferenceLlama.load(mean.model);
const { config } = mean.engine;

describe("engine", () => {
  after(async () => {
    await mean.close();
    await max.close();
  });

  /** A cache after PROMPT from which every head kept another number of slots, one of them none. */
  async function raggedCache(engine: Engine): Promise<KvCache> {
    const cache = cacheFor(engine, 500);
    await forward(engine, cache, PROMPT);
    const random = randomNumbers(3);
    const keep = Array.from({ length: cache.heads }, (_, head) => {
      if (head === 5) return new Int32Array(0);
      const share = 0.1 + 0.8 * random();
      return Int32Array.from(PROMPT.keys()).filter(() => random() < share);
    });
    compact(cache, keep, "original", new Rope(config), PROMPT.length);
    assert.ok(new Set(cache.live).size > 4, "heads differ");
    return cache;
  }

  test("chunks of any size give the same logits, keys and values", async () => {
    const runs = [];
    for (const size of [300, 1, 7, 32, 33, 64, 65, 299]) {
      const cache = cacheFor(mean.engine, PROMPT.length);
      const { logits } = await forward(mean.engine, cache, PROMPT, { size, logitsRows: 1 });
      runs.push({ size, logits, cache });
    }
    const [first, ...others] = runs;
    for (const { size, logits, cache } of others) {
      assert.ok(difference(logits, first!.logits) < 1e-4, `logits, chunks of ${size}`);
      assert.ok(difference(cache.keys, first!.cache.keys) < 1e-4, `keys, chunks of ${size}`);
      assert.ok(difference(cache.values, first!.cache.values) < 1e-4, `values, chunks of ${size}`);
    }
  });

  test("decomposed and fused attention give the same rows on a cache with ragged heads", async () => {
    const cache = await raggedCache(mean.engine);
    for (const rows of [1, 2, 33, 64]) {
      const pass = { tokens: tokens(rows), firstPosition: 300, logitsRows: rows };
      const few = await mean.engine.pass(cache, pass);
      // scoring some of the rows only, or none of more than 64, asks for the fused form
      const padded = { ...pass, tokens: [...pass.tokens, ...tokens(65)], logitsRows: rows + 65 };
      const many = await mean.engine.pass(cache, padded);
      const { vocab, headDim } = config;
      assert.ok(difference(few.logits!, many.logits!.subarray(0, rows * vocab)) < 1e-4, `logits of ${rows} rows`);
      for (let head = 0; head < cache.heads; head++) {
        assert.ok(difference(few.keys[head]!, many.keys[head]!.subarray(0, rows * headDim)) < 1e-4);
        assert.ok(difference(few.values[head]!, many.values[head]!.subarray(0, rows * headDim)) < 1e-4);
      }
      if (rows === 1) continue;
      const partly = await mean.engine.pass(cache, { ...pass, scoreRows: 1 });
      assert.ok(difference(few.logits!, partly.logits!) < 1e-4, `logits of ${rows} rows, one scored`);
    }
  });

  test("logits, new rows and mass are those of the plain reference, whatever a head holds", async () => {
    const cases = [
      {
        name: "nothing cached, fused",
        cache: () => Promise.resolve(new KvCache(config, 200)),
        rows: 90,
        scoreRows: 32,
      },
      {
        name: "nothing cached, decomposed",
        cache: () => Promise.resolve(new KvCache(config, 200)),
        rows: 40,
        scoreRows: 40,
      },
      { name: "ragged, fused, a window", cache: () => raggedCache(mean.engine), rows: 90, scoreRows: 64 },
      { name: "ragged, fused, all rows", cache: () => raggedCache(mean.engine), rows: 70, scoreRows: 70 },
      { name: "ragged, fused, few rows", cache: () => raggedCache(mean.engine), rows: 20, scoreRows: 5 },
      { name: "ragged, decomposed", cache: () => raggedCache(mean.engine), rows: 24, scoreRows: 24 },
      { name: "ragged, one row", cache: () => raggedCache(mean.engine), rows: 1, scoreRows: 1 },
    ];
    for (const { name, cache: make, rows, scoreRows } of cases) {
      const cache = await make(), firstPosition = cache.live.some((live) => live > 0) ? 300 : 0;
      const pass = { tokens: tokens(rows, 9), firstPosition, logitsRows: rows, scoreRows };
      const asked = reference.forward(cache, pass.tokens, firstPosition);
      for (const [aggregation, { engine }] of [["mean", mean], ["max", max]] as const) {
        const what = `${name}, ${aggregation}`, got = await engine.pass(cache, pass);
        assert.ok(difference(got.logits!, asked.logits.flatMap((row) => [...row])) < 2e-4, `logits: ${what}`);
        const mass = referenceMass(asked, scoreRows, aggregation);
        for (let head = 0; head < cache.heads; head++) {
          assert.equal(got.mass![aggregation]![head]!.length, cache.live[head]! + rows, what);
          assert.ok(difference(got.mass![aggregation]![head]!, mass[head]!) < 1e-5, `mass of head ${head}: ${what}`);
          assert.ok(difference(got.keys[head]!, asked.keys[head]!.flatMap((row) => [...row])) < 1e-4, `keys: ${what}`);
          assert.ok(
            difference(got.values[head]!, asked.values[head]!.flatMap((row) => [...row])) < 1e-4,
            `values: ${what}`,
          );
        }
      }
    }
  });

  test("mean mass of a head sums to one", async () => {
    const cache = await raggedCache(mean.engine);
    for (const [rows, scoreRows] of [[90, 64], [24, 24], [24, 3], [1, 1]] as const) {
      const { mass } = await mean.engine.pass(cache, { tokens: tokens(rows), firstPosition: 300, scoreRows });
      for (const row of mass!.mean!) assert.ok(Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-5);
    }
  });

  test("a pass reads the cache and changes nothing in it, and gives what was asked for only", async () => {
    const cache = await raggedCache(mean.engine);
    const before = [cache.keys, cache.values, cache.source, cache.position, cache.live].map((array) => array.slice());
    const shown = ({ mass, logits, hidden }: PassResult) => [mass !== null, logits?.length ?? 0, hidden];
    for (const rows of [1, 90]) {
      const pass = { tokens: tokens(rows), firstPosition: 300 };
      assert.deepEqual(shown(await mean.engine.pass(cache, pass)), [false, 0, null]);
      assert.deepEqual(shown(await mean.engine.pass(cache, { ...pass, scoreRows: 1 })), [true, 0, null]);
      const logits = await mean.engine.pass(cache, { ...pass, logitsRows: rows });
      assert.deepEqual(shown(logits), [false, rows * config.vocab, null]);
    }
    const now = [cache.keys, cache.values, cache.source, cache.position, cache.live];
    now.forEach((array, i) => assert.deepEqual(array, before[i]));
  });

  test("the same pass twice gives the same bits", async () => {
    const cache = await raggedCache(mean.engine);
    for (const rows of [1, 24, 90]) {
      const pass = { tokens: tokens(rows), firstPosition: 300, scoreRows: rows, logitsRows: 1 };
      const [a, b] = [await mean.engine.pass(cache, pass), await mean.engine.pass(cache, pass)];
      assert.deepEqual(a, b);
    }
  });
});

/** Logits of the last 20 tokens of PROMPT. */
function logitsOf(path: string, weights: WeightFormat): Promise<Float32Array> {
  return using(
    path,
    { weights },
    async ({ engine }) =>
      (await forward(engine, cacheFor(engine, PROMPT.length), PROMPT, { size: 100, logitsRows: 20 })).logits,
  );
}

/** Root of the mean squared difference, in parts of the same of `asked`. */
function relativeError(measured: Float32Array, asked: Float32Array): number {
  const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(measured.map((value, i) => value - asked[i]!)) / squares(asked));
}

test("a GGUF file gives the logits of the same model as safetensors; 8-bit files and block weights stay near", async () => {
  const exact = await logitsOf(TINY, "f32");
  assert.ok(difference(await logitsOf(fixture("gguf/llama.f32.gguf"), "f32"), exact) < 1e-4);
  const eightBits = await logitsOf(fixture("gguf/llama.q8_0.gguf"), "f32");
  assert.ok(relativeError(eightBits, exact) < 0.05);
  // the blocks are the file's own numbers; what differs is that the product rounds activations to 8 bits too
  assert.ok(relativeError(await logitsOf(fixture("gguf/llama.q8_0.gguf"), "blocks"), eightBits) < 0.05);
});

test("tied embeddings and scaled frequencies: the GGUF file stays near the safetensors folder", async () => {
  const exact = await logitsOf(fixture("golden/models/llama3rope"), "f32");
  for (const weights of ["f32", "blocks"] as const) {
    assert.ok(relativeError(await logitsOf(fixture("gguf/llama3rope.q8_0.gguf"), weights), exact) < 0.05, weights);
  }
});
