import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { argmax } from "../../core/decode/write.ts";
import type { Evidence, ProbeContext } from "../../core/policy.ts";
import { LOOKAHEAD, lookahead } from "../../core/probe/lookahead.ts";
import { ReferenceLlama, referenceMass } from "../engine/reference_llama.ts";
import { fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { look, type Setting, snapshot, worst } from "./context.ts";

const { engine, model, close } = await openTiny({ features: { mass: ["max", "mean"] } });
const reference = await ReferenceLlama.load(model);
const ids = tokens(16, 6), QUESTION = tokens(6, 7), ANSWER = tokens(3, 8);

describe("lookahead", () => {
  after(close);

  const greedy = new Map<string, number[]>();

  /** What `count` greedy tokens behind `before` would lay on the document. */
  function plain(before: number[], count: number): { written: number[]; max: Float64Array[]; mean: Float64Array[] } {
    const written: number[] = (greedy.get(before.join()) ?? []).slice(0, count), empty = new KvCache(engine.config, 1);
    while (written.length < count) {
      written.push(
        argmax(Float32Array.from(reference.forward(empty, [...ids, ...before, ...written], 0).logits.at(-1)!)),
      );
    }
    greedy.set(before.join(), written);
    const whole = reference.forward(empty, [...ids, ...before, ...written], 0);
    const mass = (aggregation: "max" | "mean") =>
      referenceMass(whole, count, aggregation).map((row) => row.subarray(0, ids.length));
    return { written, max: mass("max"), mean: mass("mean") };
  }

  async function run(setting: Partial<Setting>): Promise<{ cache: KvCache; before: unknown; evidence: Evidence }> {
    let before: unknown;
    const probe = lookahead();
    const spied = {
      ...probe,
      look: (context: ProbeContext) => (before = snapshot(context.cache), probe.look(context)),
    };
    const { cache, evidence } = await look(engine, spied, { ids, answerTokens: ANSWER, ...setting });
    return { cache, before, evidence };
  }

  for (const [name, questionTokens] of [["known", QUESTION], ["unknown", []]] as const) {
    test(`eight greedy tokens ask, and nothing of them stays (question ${name})`, async () => {
      const { cache, before, evidence } = await run({ questionTokens: [...questionTokens] });
      const asked = plain([...questionTokens, ...ANSWER], LOOKAHEAD);
      assert.equal(evidence.rows, LOOKAHEAD);
      assert.ok(worst(evidence.max!, asked.max) < 1e-5);
      assert.ok(worst(evidence.mean!, asked.mean) < 1e-5);
      assert.deepEqual(snapshot(cache), before);
    });
  }

  test("a stop token ends the writing and does not ask, unless it comes first", async () => {
    const { written } = plain(ANSWER, LOOKAHEAD);
    const at = written.findIndex((token, i) => i > 0 && !written.slice(0, i).includes(token));
    assert.ok(at > 0);
    const stopped = await run({ tokenizer: { ...fakeTokenizer, stopIds: new Set([written[at]!]) } });
    assert.equal(stopped.evidence.rows, at);
    assert.ok(worst(stopped.evidence.mean!, plain(ANSWER, at).mean) < 1e-5);
    const first = await run({ tokenizer: { ...fakeTokenizer, stopIds: new Set([written[0]!]) } });
    assert.ok(first.evidence.rows! >= 1);
  });

  test("writes as many as room and positions hold", async () => {
    for (const limit of [{ capacity: ids.length + ANSWER.length + 3 }, { positionsLeft: ANSWER.length + 3 }]) {
      const { evidence } = await run(limit);
      assert.equal(evidence.rows, 3);
      assert.ok(worst(evidence.mean!, plain(ANSWER, 3).mean) < 1e-5);
    }
    // not even the answer's start fits: its last tokens and one word
    const { evidence } = await run({ positionsLeft: 3 });
    assert.equal(evidence.rows, 1);
    assert.ok(worst(evidence.mean!, plain(ANSWER.slice(-2), 1).mean) < 1e-5);
  });
});
