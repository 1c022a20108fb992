import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { parsePolicy } from "../../core/policies.ts";
import { featuresFor } from "../../core/policy.ts";
import { judgeq } from "../../core/probe/judgeq.ts";
import { placed } from "../../core/probe/soft.ts";
import { ReferenceLlama, referenceMass } from "../engine/reference_llama.ts";
import { randomPacks, SOFT_OFFSET, SOFT_ROWS } from "../packs.ts";
import { difference, openTiny, tokens } from "../tiny_llama.ts";
import { look, snapshot, worst } from "./context.ts";

const features = { mass: ["max", "mean"], embeddings: true, packs: ["judgeq"] } as const;
const { engine, model, close } = await openTiny({ features, packs: randomPacks });
const blocks = await openTiny({ features, packs: randomPacks, weights: "blocks" });

type Rows = ReturnType<typeof snapshot>;

describe("judgeq", () => {
  after(close);
  after(blocks.close);

  const rowsOf = ({ packs, config: { hidden } }: Engine) =>
    Array.from({ length: SOFT_ROWS }, (_, row) => packs.judgeq!.tokens.subarray(row * hidden, (row + 1) * hidden));
  const ids = tokens(90, 4);

  for (const make of [judgeq]) {
    const { name } = make();

    test(`${name}: the mass that the pack's rows lay on the slots from their offset behind the chunk, as plain loops have it`, async () => {
      const { evidence } = await look(engine, make(), { ids, size: 40 });
      const reference = await ReferenceLlama.load(model), empty = new KvCache(engine.config, 1);
      const positions = [...ids.keys(), ...Array.from({ length: SOFT_ROWS }, (_, i) => ids.length + SOFT_OFFSET + i)];
      const whole = reference.forward(empty, [...ids, ...rowsOf(engine)], positions);
      for (const aggregation of ["max", "mean"] as const) {
        const asked = referenceMass(whole, SOFT_ROWS, aggregation).map((row) => row.subarray(0, ids.length));
        assert.ok(worst(evidence[aggregation]!, asked) < 1e-5, aggregation);
      }
      assert.equal(evidence.rows, SOFT_ROWS);
    });

    test(`${name}: nothing of the rows is in the cache, and the same document gives the same evidence again`, async () => {
      const plain = await look(engine, { ...judgeq(), look: () => Promise.resolve({}) }, { ids, size: 40 });
      const [first, second] = [
        await look(engine, make(), { ids, size: 40 }),
        await look(engine, make(), { ids, size: 40 }),
      ];
      const caches = [first, plain].map(({ cache }) => snapshot(cache)), [mine, theirs] = caches as [Rows, Rows];
      const labels = (heads: Rows) => heads.map(({ live, room, start, source }) => ({ live, room, start, source }));
      assert.deepEqual(labels(mine), labels(theirs));
      for (const what of ["keys", "values"] as const) {
        // few rows and many take different forms of attention, and a few more rows make many
        assert.ok(worst(mine.map((head) => head[what]), theirs.map((head) => head[what])) < 1e-5, what);
      }
      assert.deepEqual(first.evidence, second.evidence);
    });
  }

  test("pass: an engine that takes embeddings gives without them what another gives; one that does not refuses them", async () => {
    const other = await openTiny(), cache = new KvCache(engine.config, 1);
    const pass = { tokens: ids, firstPosition: 0, logitsRows: 3 };
    try {
      const [a, b] = [await engine.pass(cache, pass), await other.engine.pass(cache, pass)];
      assert.ok(difference(a.logits!, b.logits!) < 1e-5);
      const soft = { embeddings: rowsOf(engine)[0]!, count: 1, firstPosition: 0 };
      await assert.rejects(other.engine.pass(cache, { ...pass, soft }), /no rows that are no tokens/);
    } finally {
      await other.close();
    }
  });

  test("placed: at the offset; nearer, then fewer, where the trained positions end", () => {
    const rows = { embeddings: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7), count: 4, offset: 10 };
    const where = (positionsLeft: number) => {
      const { embeddings, count, firstPosition } = placed(rows, { nextPosition: 100, positionsLeft });
      return [embeddings.length, count, firstPosition];
    };
    assert.deepEqual([Infinity, 14, 13, 4, 3].map(where), [
      [8, 4, 110],
      [8, 4, 110],
      [8, 4, 109],
      [8, 4, 100],
      [6, 3, 100],
    ]);
  });

  test("featuresFor: judgeq needs its pack and rows given as embeddings, in mixtures too", () => {
    for (const spec of ["judgeq", "probe=judgeq+question", "probe=role+judgeq", "probe=window+judgeq"]) {
      const { embeddings, packs } = featuresFor(parsePolicy(spec));
      assert.deepEqual([embeddings, packs], [true, ["judgeq"]], spec);
    }
  });
});
