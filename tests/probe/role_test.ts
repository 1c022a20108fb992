import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { role, ROLE_ROWS, roleTokens } from "../../core/probe/role.ts";
import { ReferenceLlama, referenceMass } from "../engine/reference_llama.ts";
import { fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { look, snapshot, worst } from "./context.ts";

const { engine, model, close } = await openTiny({ features: { mass: ["max", "mean"] } });

describe("role", () => {
  after(close);

  const tokenizer = { ...fakeTokenizer, encode: () => [101, 102, 103] };
  const given = { answerTokens: [7, 8], tokenizer, positionsLeft: Infinity };

  test("roleTokens: the answer's start and the opening over and over, 32 in all, fewer where positions end", () => {
    const cycle = [7, 8, 101, 102, 103];
    assert.deepEqual(roleTokens(given), [...cycle, ...cycle, ...cycle, ...cycle, ...cycle, ...cycle, 7, 8]);
    assert.equal(roleTokens(given).length, ROLE_ROWS);
    assert.deepEqual(roleTokens({ ...given, positionsLeft: 6 }), [...cycle, 7]);
    assert.equal(roleTokens({ ...given, answerTokens: tokens(40) }).length, ROLE_ROWS);
  });

  test("look: the mass that these rows lay on the slots when they stand behind the chunk, and nothing of them stays", async () => {
    const ids = tokens(50, 4), before: unknown[] = [];
    const spy = {
      ...role(),
      look: (context: Parameters<ReturnType<typeof role>["look"]>[0]) => {
        before.push(snapshot(context.cache));
        return role().look(context);
      },
    };
    const { cache, context, evidence } = await look(engine, spy, { ids, ...given });
    assert.deepEqual(snapshot(cache), before[0]);
    const reference = await ReferenceLlama.load(model), empty = new KvCache(engine.config, 1);
    const whole = reference.forward(empty, [...ids, ...roleTokens(context)], 0);
    for (const aggregation of ["max", "mean"] as const) {
      const asked = referenceMass(whole, ROLE_ROWS, aggregation).map((row) => row.subarray(0, ids.length));
      assert.ok(worst(evidence[aggregation]!, asked) < 1e-5, aggregation);
    }
    assert.equal(evidence.rows, ROLE_ROWS);
  });
});
