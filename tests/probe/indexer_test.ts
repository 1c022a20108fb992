/** The learned indexer: what the graph makes of rows, and the scores of slots. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { resolveBudget } from "../../core/budget.ts";
import { KvCache } from "../../core/cache.ts";
import { parsePolicy } from "../../core/policies.ts";
import { indexKeys, indexQueries, indexWeights, meanIndexScore } from "../../core/probe/index_score.ts";
import { indexer } from "../../core/probe/indexer.ts";
import { Reader } from "../../core/reader.ts";
import { ReferenceLlama } from "../engine/reference_llama.ts";
import { INDEX_DIM, INDEX_HEADS, randomPacks } from "../packs.ts";
import { difference, fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { probeContext } from "./context.ts";

const { engine, model, close } = await openTiny({
  features: { indexer: true, readout: true, packs: ["indexmem"] },
  packs: randomPacks,
});

describe("indexer", () => {
  after(close);
  const layers = engine.packs.indexmem!.layers.map(({ indexer }) => indexer);
  const flat = (rows: Float64Array[]) => Float32Array.from(rows.flatMap((row) => [...row]));

  test("the graph gives index keys of all rows, and queries and weights of those that ask, as plain loops do", async () => {
    const reference = await ReferenceLlama.load(model), cache = new KvCache(engine.config, 100);
    for (
      const [rows, asking, every] of [[1, 1, 1], [20, 0, 1], [20, 7, 1], [90, 64, 1], [90, 20, 4], [13, 4, 4]] as const
    ) {
      const ids = tokens(rows, rows), pass = { tokens: ids, firstPosition: 0 };
      assert.equal((await engine.pass(cache, pass)).index, null, "not asked for");
      const { index } = await engine.pass(cache, { ...pass, indexRows: asking, indexEvery: every });
      const { normed, rawQueries } = reference.forward(cache, ids, 0);
      for (const [layer, weights] of layers.entries()) {
        const { heads, dim, keys, queries, weights: counts } = index![layer]!, what = `${rows} rows, layer ${layer}`;
        assert.deepEqual([heads, dim, weights.groups], [INDEX_HEADS, INDEX_DIM, engine.config.kvHeads]);
        assert.ok(difference(keys, indexKeys(weights, flat(normed[layer]!))) < 1e-4, what);
        const last = (all: Float64Array[]) =>
          flat(all.filter((_, row) => (rows - 1 - row) % every === 0).slice(-asking || rows));
        const scale = Math.sqrt(heads * dim);
        assert.ok(
          difference(counts, indexWeights(weights, last(normed[layer]!)).map((weight) => weight * scale)) < 1e-4,
          what,
        );
        const asked = indexQueries(weights, last(rawQueries[layer]!));
        assert.equal(queries.length, asked.length);
        for (let head = 0; head < heads; head++) {
          for (let row = 0; row < asking; row++) {
            const mine = queries.subarray((head * asking + row) * dim, (head * asking + row + 1) * dim);
            const theirs = asked.subarray((row * heads + head) * dim, (row * heads + head + 1) * dim);
            assert.ok(difference(mine, theirs) < 1e-4, `${what}, query ${row} of head ${head}`);
          }
        }
      }
    }
  });

  test("a slot's score is the mean over the last rows, of keys that moved with their slots, in ragged heads too", async () => {
    const shape = engine.config, attributes = [{ name: "indexerKey", width: INDEX_DIM }] as const;
    const cache = new KvCache(shape, 200, attributes), { kvHeads } = shape, ids = tokens(150, 3);
    let chunk = await engine.pass(cache, { tokens: ids, firstPosition: 0, indexRows: 128 });
    const kept: number[][] = [];
    for (const size of [60, 90]) {
      const from = cache.live[0] ? 60 : 0, piece = ids.slice(from, from + size);
      chunk = await engine.pass(cache, { tokens: piece, firstPosition: from, indexRows: Math.min(size, 128) });
      const keys = Array.from(cache.live, (_, head) => chunk.index![Math.floor(head / kvHeads)]!.keys);
      cache.append(chunk.keys, chunk.values, size, from, from, { indexerKey: keys });
      if (from > 0) break;
      // head 0 and 1 of the first layer keep the same, all others their own
      for (let head = 0; head < cache.heads; head++) {
        const slots = Array.from({ length: 60 }, (_, i) => i).filter((i) => i < 4 || i % (2 + Math.max(1, head)) > 0);
        slots.forEach((slot, to) => cache.move(cache.start[head]! + slot, cache.start[head]! + to, 1));
        cache.live[head] = slots.length;
        kept.push(slots);
      }
      cache.layOut();
    }
    const { score } = await indexer().look(probeContext(engine, cache, { chunk, tokens: ids, tokensRead: 150 }));
    const empty = new KvCache(shape, 1),
      whole = await engine.pass(empty, { tokens: ids.slice(0, 60), firstPosition: 0, indexRows: 0 });
    for (let head = 0; head < cache.heads; head++) {
      const layer = Math.floor(head / kvHeads), { queries, weights: all, keys } = chunk.index![layer]!;
      const h = head % kvHeads, age = layers[layer]!.age![h]!;
      // the index weights of this KV head
      const weights = all.filter((_, i) => Math.floor(i / INDEX_HEADS) % kvHeads === h);
      const rows = weights.length / INDEX_HEADS, scale = 1 / Math.sqrt(INDEX_HEADS * INDEX_DIM);
      assert.equal(rows, 90, "as many as the chunk has");
      const byRow = queries.map((_, i) => {
        const row = Math.floor(i / (INDEX_HEADS * INDEX_DIM)), h = Math.floor(i / INDEX_DIM) % INDEX_HEADS;
        return queries[(h * rows + row) * INDEX_DIM + i % INDEX_DIM]!;
      });
      const own = Float32Array.from(
        kept[head]!.flatMap((
          slot,
        ) => [...whole.index![layer]!.keys.subarray(slot * INDEX_DIM, (slot + 1) * INDEX_DIM)]),
      );
      const asked = meanIndexScore(
        byRow,
        weights.map((weight) => weight * scale),
        Float32Array.of(...own, ...keys),
        { heads: INDEX_HEADS, dim: INDEX_DIM },
      ).map((score, slot) => score - age * Math.log1p((149 - cache.position[cache.start[head]! + slot]!) / 64));
      assert.ok(difference(score![head]!.subarray(4), asked.subarray(4)) < 1e-5, `head ${head}`);
      const best = asked.subarray(4).reduce((a, b) => Math.max(a, b));
      assert.ok(score![head]!.subarray(0, 4).every((sink) => Math.abs(sink - best) < 1e-5), "sinks as the best");
    }
  });

  test("a chunk of fewer rows than ask, down to one, is asked with what it has", async () => {
    const policy = parsePolicy("indexer"), slots = 64;
    const budget = resolveBudget({
      config: engine.config,
      policy,
      request: { slots },
      chunkTokens: 80,
      reserve: 8,
      unboundedPositions: true,
      availableBytes: 1e9,
      packs: engine.packs,
    });
    const reader = new Reader(engine, policy, {
      budget,
      chunkTokens: 80,
      reserve: 8,
      positions: "auto",
      questionTokens: [],
      answerTokens: [],
      tokenizer: fakeTokenizer,
    });
    for (const size of [64, 1, 80, 3]) {
      await reader.read(tokens(size, size));
      assert.equal(reader.cache.meanLive, 64);
    }
    assert.equal(reader.compactions, 3);
  });
});
