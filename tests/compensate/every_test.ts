/** What every compensating variant promises. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { resolveBudget } from "../../core/budget.ts";
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { parsePolicy } from "../../core/policies.ts";
import type { Compensate } from "../../core/policy.ts";
import { Reader } from "../../core/reader.ts";
import { stages } from "../../core/stages.ts";
import { PACK_METHODS } from "../../core/pack/method.ts";
import { randomPacks } from "../packs.ts";
import { fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { gone, inventedContext, snapshot } from "./head.ts";

const variants = Object.entries(stages.compensate as Record<string, () => Compensate>);
const { engine, close } = await openTiny({
  features: { mass: ["max", "mean"], logBias: true, readout: true, packs: PACK_METHODS },
  packs: randomPacks,
});

describe("every compensating variant", () => {
  after(close);

  for (const [name, make] of variants) {
    test(`${name}: where nothing is evicted, nothing changes`, async () => {
      const stage = make(), context = inventedContext(engine, stage);
      context.keep = context.scores.map((row) => Int32Array.from(row.keys()));
      const before = snapshot(context, stage);
      assert.deepEqual(await stage.apply(context), context.keep);
      assert.deepEqual(snapshot(context, stage), before);
    });

    test(`${name}: the same again gives the same, and what is evicted has no effect on other heads`, async () => {
      const run = async (change: boolean) => {
        const stage = make(), context = inventedContext(engine, stage), { cache } = context;
        if (change) { for (const slot of gone(90, context.keep[0]!)) cache.valueRows(0)[slot * 32] = 9; }
        const keep = await stage.apply(context);
        return { keep: keep.map((slots) => [...slots]), ...snapshot(context, stage) };
      };
      const [first, second, changed] = [await run(false), await run(false), await run(true)];
      assert.deepEqual(second, first);
      for (const what of ["values", "sums", "norms"] as const) {
        for (const head of [1, 2]) assert.deepEqual(changed[what][head], first[what][head]);
      }
      if (name !== "drop") assert.notDeepEqual(changed.values[0], first.values[0], "it does something with them");
    });

    test(`${name}: protected slots stay as they are`, async () => {
      const stage = make(), context = inventedContext(engine, stage), before = snapshot(context, stage);
      await stage.apply(context);
      const now = snapshot(context, stage);
      for (const slot of [0, 1, 2, 3, ...(name === "cam" ? [] : [86, 87, 88, 89])]) {
        const row = (rows: number[][]) => rows[0]!.slice(slot * 32, (slot + 1) * 32);
        for (const pool of ["keys", "values"] as const) {
          assert.deepEqual(row(now[pool]), row(before[pool]), `${pool} of slot ${slot}`);
        }
      }
    });

    test(`${name}: after 24 compactions values are no longer than ever, biases bounded, everything finite`, async () => {
      const policy = parsePolicy(`probe=window,aggregate=mean,compensate=${name}`), slots = 80, chunkTokens = 32;
      const budget = resolveBudget({
        config: engine.config,
        policy,
        request: { slots },
        chunkTokens,
        reserve: 16,
        unboundedPositions: true,
        availableBytes: 1e9,
        packs: engine.packs,
      });
      const reader = new Reader(engine, policy, {
        budget,
        chunkTokens,
        reserve: 16,
        positions: "auto",
        questionTokens: [],
        answerTokens: [],
        tokenizer: fakeTokenizer,
      });
      const { cache } = reader, { headDim } = cache.shape, document = tokens(26 * chunkTokens, 4);
      const longest = (rows: Float32Array) => {
        let most = 0;
        for (let at = 0; at < rows.length; at += headDim) {
          most = Math.max(most, Math.hypot(...rows.subarray(at, at + headDim)));
        }
        return most;
      };
      const fresh = Array.from({ length: cache.heads }, () => 0);
      for (let from = 0; from < document.length; from += chunkTokens) {
        await reader.read(document.slice(from, from + chunkTokens), async () => {
          for (let head = 0; head < cache.heads; head++) {
            fresh[head] = Math.max(fresh[head]!, longest(cache.valueRows(head).slice(-chunkTokens * headDim)));
          }
        });
      }
      assert.ok(reader.compactions >= 24);
      for (let head = 0; head < cache.heads; head++) {
        assert.ok(cache.keyRows(head).every(Number.isFinite) && cache.valueRows(head).every(Number.isFinite));
        const most = longest(cache.valueRows(head)) / fresh[head]!;
        assert.ok(
          most <= 1 + 1e-5,
          `head ${head}: values ${most.toFixed(2)} times as long as the longest that was written`,
        );
        if (!cache.has("logBias")) continue;
        // nobody speaks for more than everything that was read
        const bias = cache.attribute("logBias", head), bound = Math.log(document.length) + 1e-3;
        assert.ok(bias.every((value) => value >= 0 && value <= bound), `biases up to ${Math.max(...bias)}`);
        assert.ok(bias.some((value) => value > 0), "something was received");
        if (!cache.has("count")) continue;
        const count = cache.attribute("count", head), source = cache.sources(head);
        let stood = 0;
        source.forEach((token, slot) => stood += token === MEMORY_SOURCE ? count[slot]! : 1);
        assert.equal(stood, document.length, "every token stands somewhere");
      }
    });
  }
});
