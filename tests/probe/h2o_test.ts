import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { h2o } from "../../core/probe/h2o.ts";
import { ReferenceLlama } from "../engine/reference_llama.ts";
import { openTiny, tokens } from "../tiny_llama.ts";
import { look, probeContext, worst } from "./context.ts";

const { engine, model, close } = await openTiny({ features: { mass: ["mean"] } });
const reference = await ReferenceLlama.load(model);
const ids = tokens(90, 3);

describe("h2o", () => {
  after(close);

  test("attention of all rows summed up, over the rows that could see the slot, however the chunks are cut", async () => {
    const { weights } = reference.forward(new KvCache(engine.config, 1), ids, 0);
    const asked = weights.map((group) =>
      ids.map((_, slot) => {
        const sums = group.map((rows) => rows.reduce((sum, row) => sum + (row[slot] ?? 0), 0));
        return sums.reduce((a, b) => a + b) / sums.length / (ids.length - slot);
      })
    );
    for (const size of [1, 7, 64, 89, 90]) {
      const { evidence } = await look(engine, h2o(), { ids, size });
      assert.ok(worst(evidence.score!, asked) < 1e-5, `chunks of ${size}`);
    }
  });

  test("what was seen before stays counted when other slots go, and a slot is not blamed for rows that came before it", async () => {
    const probe = h2o(), { cache, evidence } = await look(engine, probe, { ids: ids.slice(0, 40) });
    const before = evidence.score!.map((row) => row.slice());
    for (let head = 0; head < cache.heads; head++) {
      cache.move(cache.start[head]! + 30, cache.start[head]! + 20, 10); // tokens 20…29 go
      cache.live[head] = 30;
    }
    const chunk = await engine.pass(cache, { tokens: ids.slice(40, 60), firstPosition: 40, scoreRows: 20 });
    cache.append(chunk.keys, chunk.values, 20, 40, 40);
    const { score } = await probe.look(
      probeContext(engine, cache, { chunk, tokens: ids.slice(40, 60), tokensRead: 60 }),
    );
    const { weights } = reference.forward(cut(cache, 30), ids.slice(40, 60), 40);
    const asked = weights.map((group, head) =>
      Array.from({ length: 50 }, (_, slot) => {
        const sums = group.map((rows) => rows.reduce((sum, row) => sum + (row[slot] ?? 0), 0));
        const now = sums.reduce((a, b) => a + b) / sums.length;
        if (slot >= 30) return now / (50 - slot);
        const token = slot < 20 ? slot : slot + 10, rows = 40 - token;
        return (before[head]![token]! * rows + now) / (rows + 20);
      })
    );
    assert.ok(worst(score!, asked) < 1e-5);
  });
});

/** The same cache as it was with its first slots only. */
function cut(cache: KvCache, live: number): KvCache {
  const copy = new KvCache(cache.shape, live), { headDim } = cache.shape;
  const heads = Array.from({ length: cache.heads }, (_, head) => head);
  const first = (rows: (head: number) => Float32Array) => heads.map((head) => rows(head).slice(0, live * headDim));
  copy.append(first((head) => cache.keyRows(head)), first((head) => cache.valueRows(head)), live, 0, 0);
  return copy;
}
