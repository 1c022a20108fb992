import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { FEW_ROWS } from "../../core/engine/attention.ts";
import { missing, NO_FEATURES, spell } from "../../core/engine/features.ts";
import { forward } from "../golden/forward.ts";
import { difference, openTiny, PROMPT, tokens } from "../tiny_llama.ts";

const biased = await openTiny({ features: { logBias: true, mass: ["defensive", "max", "mean"] } });
const facts = await openTiny({ features: { valueNorms: true, queryMoments: true } });
const newest = await openTiny({ features: { newestMass: true, mass: ["mean"] } });

describe("graph features", () => {
  after(async () => {
    await biased.close();
    await facts.close();
    await newest.close();
  });

  test("a slot with bias log 3 counts as three equal slots: for one row and few, and in the mass of many", async () => {
    const { engine } = biased, { config } = engine;
    const once = new KvCache(config, 400, ["logBias"]), thrice = new KvCache(config, 400, ["logBias"]);
    const prompt = PROMPT.slice(0, 120);
    await forward(engine, once, prompt);
    await forward(engine, thrice, prompt);
    for (let head = 0; head < once.heads; head++) {
      once.attribute("logBias", head)[17 + head] = Math.log(3);
      const row = (17 + head) * config.headDim, copy = (rows: Float32Array) => rows.slice(row, row + config.headDim);
      const key = copy(thrice.keyRows(head)), value = copy(thrice.valueRows(head));
      const empty = Array.from({ length: once.heads }, () => new Float32Array(0));
      for (let again = 0; again < 2; again++) {
        const keys = empty.map((rows, at) => at === head ? key : rows),
          start = thrice.start[head]! + thrice.live[head]!;
        thrice.keys.set(keys[head]!, start * config.headDim);
        thrice.values.set(value, start * config.headDim);
        thrice.live[head]!++;
      }
    }
    for (const rows of [1, 24, 90]) {
      const pass = { tokens: tokens(rows, 5), firstPosition: 120, logitsRows: rows, scoreRows: rows };
      const got = await engine.pass(once, pass), asked = await engine.pass(thrice, pass);
      if (rows <= FEW_ROWS) {
        const far = difference(got.logits!, asked.logits!);
        assert.ok(far < 2e-4, `${rows} rows: ${far}`);
      }
      // in the second layer the queries of many differ, as their first layer's output was without biases
      const comparable = rows <= FEW_ROWS ? once.heads : config.kvHeads;
      for (let head = 0; head < comparable; head++) {
        const slot = 17 + head, mine = got.mass!.mean![head]!, theirs = asked.mass!.mean![head]!;
        const total = theirs[slot]! + theirs[120]! + theirs[121]!;
        assert.ok(Math.abs(mine[slot]! - total) < 1e-5, `${rows} rows, head ${head}: ${mine[slot]} ${total}`);
      }
    }
  });

  test("defensive mass: never below the pooled mean, never above the maximum by more than the ends add", async () => {
    const { engine } = biased, cache = new KvCache(engine.config, 400);
    await forward(engine, cache, PROMPT.slice(0, 200));
    const { mass } = await engine.pass(cache, { tokens: tokens(90, 6), firstPosition: 200, scoreRows: 32 });
    for (let head = 0; head < cache.heads; head++) {
      const [defensive, max, mean] = [mass!.defensive![head]!, mass!.max![head]!, mass!.mean![head]!];
      for (let slot = 2; slot < defensive.length - 2; slot++) {
        const near = [-2, -1, 0, 1, 2].map((d) => slot + d);
        const average = near.reduce((sum, at) => sum + mean[at]!, 0) / 5;
        assert.ok(defensive[slot]! >= average * 0.999, `head ${head}, slot ${slot}`);
        assert.ok(
          defensive[slot]! <= near.reduce((sum, at) => sum + max[at]!, 0) / 5 * 1.8,
          `head ${head}, slot ${slot}`,
        );
      }
    }
  });

  test("value norms and query moments: of the rows that were asked for, only when asked", async () => {
    const { engine } = facts, { config } = engine, cache = new KvCache(config, 400);
    const ids = PROMPT.slice(0, 70);
    const plain = await engine.pass(cache, { tokens: ids, firstPosition: 0 });
    assert.equal(plain.valueNorms, null);
    assert.equal(plain.queryMoments, null);
    const whole = await engine.pass(cache, { tokens: ids, firstPosition: 0, factsFrom: 0 });
    const later = await engine.pass(cache, { tokens: ids, firstPosition: 0, factsFrom: 4 });
    const first = await engine.pass(cache, { tokens: ids.slice(0, 4), firstPosition: 0, factsFrom: 0 });
    assert.equal(whole.valueNorms!.length, cache.heads);
    for (const norms of whole.valueNorms!) {
      assert.equal(norms.length, ids.length);
      assert.ok(norms.every((norm) => norm > 0));
    }
    for (let layer = 0; layer < config.layers; layer++) {
      for (const what of ["sum", "outer"] as const) {
        const [all, rest, begin] = [whole, later, first].map((result) => result.queryMoments![layer]![what]);
        const added = Float32Array.from(rest!, (value, i) => value + begin![i]!);
        const scale = Math.max(...Array.from(all!, Math.abs));
        assert.ok(difference(all!, added) < 1e-5 * scale, `layer ${layer}, ${what}`);
      }
      assert.deepEqual([whole, later, first].map((result) => result.queryMoments![layer]!.rows), [70, 66, 4]);
    }
  });

  test("attention to the newest slots is the end of every slot's, over heads of unequal length too", async () => {
    const { engine } = newest, cache = new KvCache(engine.config, 200);
    await forward(engine, cache, PROMPT.slice(0, 100));
    cache.live.forEach((live, head) => cache.live[head] = live - 3 * head);
    for (const rows of [1, 24, 64]) {
      const pass = { tokens: tokens(rows, 5), firstPosition: 100 };
      const { mass } = await engine.pass(cache, { ...pass, scoreRows: rows });
      for (const newestSlots of [1, 24, 64 + rows]) {
        const { newestMass, mass: none } = await engine.pass(cache, { ...pass, newestSlots });
        assert.equal(none, null);
        const ends = mass!.mean!.flatMap((row) => [...row.slice(-newestSlots)]);
        const last = (await engine.pass(cache, { ...pass, scoreRows: 1 })).mass!.mean!;
        for (const [head, row] of last.entries()) {
          const from = head * rows * newestSlots, mine = newestMass!.subarray(from, from + rows * newestSlots);
          const mean = Float32Array.from(
            { length: newestSlots },
            (_, slot) => mine.reduce((sum, mass, i) => i % newestSlots === slot ? sum + mass : sum, 0) / rows,
          );
          const what = `${rows} rows, ${newestSlots} slots`;
          assert.ok(difference(mean, ends.slice(head * newestSlots, (head + 1) * newestSlots)) < 1e-6, `mean: ${what}`);
          assert.ok(difference(mine.slice(-newestSlots), row.slice(-newestSlots)) < 1e-6, `last row: ${what}`);
        }
      }
      assert.equal((await engine.pass(cache, pass)).newestMass, null);
    }
    const many = { tokens: tokens(65, 5), firstPosition: 100 };
    assert.equal((await engine.pass(cache, many)).newestMass, null);
    await assert.rejects(engine.pass(cache, { ...many, newestSlots: 5 }), /65 rows/);
  });

  test("missing: names what a graph lacks, whatever else it gives", () => {
    const all = {
      mass: ["max", "mean", "defensive"],
      valueNorms: true,
      queryMoments: true,
      newestMass: true,
      logBias: true,
      hidden: true,
      embeddings: true,
      indexer: true,
      readout: true,
      packs: ["judgeq"],
      kvType: "f32",
    } as const;
    assert.deepEqual(missing(all, all), []);
    assert.deepEqual(missing(all, NO_FEATURES), []);
    assert.equal(missing(NO_FEATURES, all).length, 12);
    assert.deepEqual(missing({ ...all, mass: ["max"] }, { ...NO_FEATURES, mass: ["mean"] }), ["mean attention mass"]);
    assert.equal(spell(NO_FEATURES), "plain");
    const [judgeq, metasoft] = (["judgeq", "metasoft"] as const).map((pack) => ({ ...NO_FEATURES, packs: [pack] }));
    assert.notEqual(spell(judgeq!), spell(metasoft!));
    assert.notEqual(spell({ ...NO_FEATURES, kvType: "f16" }), "plain");
    assert.notEqual(spell({ ...NO_FEATURES, mass: ["max"] }), spell({ ...NO_FEATURES, mass: ["mean"] }));
  });
});
