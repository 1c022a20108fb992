import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { SINKS } from "../../core/policy.ts";
import { kvzip, repetition } from "../../core/probe/kvzip.ts";
import { ReferenceLlama, referenceMass } from "../engine/reference_llama.ts";
import { fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { look, probeContext, snapshot, worst } from "./context.ts";

const { engine, model, close } = await openTiny({ features: { mass: ["max"] } });
const REQUEST = [201, 202, 203], tokenizer = { ...fakeTokenizer, encode: () => REQUEST }, ANSWER = [11, 12];
const ids = tokens(50, 12);

describe("kvzip", () => {
  after(close);

  test("repetition: request, answer's start and the chunk; in pieces that overlap by eight tokens where positions end", () => {
    const given = { tokens: ids.slice(0, 30), answerTokens: ANSWER, tokenizer };
    assert.deepEqual(repetition({ ...given, positionsLeft: Infinity }), [[...REQUEST, ...ANSWER, ...given.tokens]]);
    assert.equal(repetition({ ...given, positionsLeft: 35 }).length, 1);
    assert.deepEqual(repetition({ ...given, positionsLeft: 28 }), [
      [...REQUEST, ...ANSWER, ...ids.slice(0, 23)],
      [...REQUEST, ...ids.slice(15, 23), ...ANSWER, ...ids.slice(23, 30)],
    ]);
    for (const positionsLeft of [2, 3, 5, 9, 13, 20, 34]) {
      const pieces = repetition({ ...given, positionsLeft });
      for (const piece of pieces) assert.ok(piece.length <= positionsLeft, `${piece.length} of ${positionsLeft}`);
      const newest = pieces.map((piece) => piece.at(-1)!);
      assert.equal(newest.at(-1), ids[29], "to the end");
    }
    assert.notDeepEqual(
      repetition({ ...given, tokenizer: fakeTokenizer, positionsLeft: 200 })[0]!.slice(0, 20),
      given.tokens.slice(0, 20),
    );
  });

  test("each chunk's slots get the largest attention of its repetition over sinks and chunk, once", async () => {
    const { cache, evidence } = await look(engine, kvzip(), { ids, size: 25, answerTokens: ANSWER, tokenizer });
    const reference = await ReferenceLlama.load(model), parts: Float32Array[][] = [];
    for (const from of [0, 25]) {
      const sinks = from === 0 ? 0 : SINKS, narrow = new KvCache(engine.config, sinks + 25);
      const slots = [...Array(sinks).keys(), ...Array.from({ length: 25 }, (_, i) => from + i)];
      const pick = (rows: Float32Array) =>
        Float32Array.from(slots.flatMap((slot) => [...rows.subarray(slot * 32, slot * 32 + 32)]));
      const heads = Array.from({ length: cache.heads }, (_, head) => head);
      narrow.append(
        heads.map((h) => pick(cache.keyRows(h))),
        heads.map((h) => pick(cache.valueRows(h))),
        slots.length,
        0,
        0,
      );
      const piece = [...REQUEST, ...ANSWER, ...ids.slice(from, from + 25)];
      const mass = referenceMass(reference.forward(narrow, piece, from + 25), piece.length, "max");
      parts.push(mass.map((row) => Float32Array.from(row.subarray(sinks, sinks + 25))));
    }
    assert.equal(engine.config.headDim, 32);
    const asked = parts[0]!.map((row, head) => [...row, ...parts[1]![head]!]);
    assert.ok(worst(evidence.score!, asked) < 1e-5);
  });

  test("cache and older scores stay as they were, also when the repetition is cut", async () => {
    const probe = kvzip(), { cache, evidence } = await look(engine, probe, { ids: ids.slice(0, 30), tokenizer });
    const older = evidence.score!.map((row) => row.slice());
    const chunk = await engine.pass(cache, { tokens: ids.slice(30), firstPosition: 30 });
    cache.append(chunk.keys, chunk.values, 20, 30, 30);
    const before = snapshot(cache);
    const context = { chunk, tokens: ids.slice(30), tokensRead: 50, tokenizer, positionsLeft: 20 };
    const { score } = await probe.look(probeContext(engine, cache, context));
    assert.deepEqual(snapshot(cache), before);
    score!.forEach((row, head) => {
      assert.deepEqual(row.subarray(0, 30), older[head]);
      assert.ok(row.subarray(30).every((value) => value > 0 && value <= 1));
    });
  });
});
