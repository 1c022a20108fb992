/** What a reading remembers, saved and restored: it must go on as if nothing had happened, under every policy. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { resolveBudget } from "../../core/budget.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { parsePolicy, policies } from "../../core/policies.ts";
import { leastBudget } from "../../core/policy.ts";
import { Reader } from "../../core/reader.ts";
import { bookmark } from "../../core/state/bookmark.ts";
import { openState, writeState } from "../../core/state/file.ts";
import { checkRestored, readingArrays, readingFacts, restoreFacts } from "../../core/state/reading_state.ts";
import { files } from "../host.ts";
import { EVERY_FEATURE, randomPacks } from "../packs.ts";
import { fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";

const QUESTION = tokens(12, 77), ANSWER = tokens(5, 78), CHUNK = 40, RESERVE = 60, DOCUMENT = tokens(240);
const SPECS = [...Object.keys(policies), "compensate=centroids,decode=moment"];

// opened here, not below: Deno does not wait for an asynchronous describe
const opened = await Promise.all((["f32", "int8"] as const).map((kvType) =>
  openTiny({
    features: { ...EVERY_FEATURE, kvType },
    packs: randomPacks,
  })
));
const folder = await mkdtemp(join(tmpdir(), "palimpsest-state-"));

function readerFor(engine: Engine, spec: string): Reader {
  const policy = parsePolicy(spec);
  const budget = resolveBudget({
    config: engine.config,
    policy,
    request: { slots: policy.evicts ? Math.max(64, leastBudget(policy) + 10) : DOCUMENT.length },
    chunkTokens: CHUNK,
    reserve: RESERVE,
    unboundedPositions: true,
    availableBytes: 1e9,
    packs: engine.packs,
    kvType: engine.features.kvType,
  });
  return new Reader(engine, policy, {
    budget,
    chunkTokens: CHUNK,
    reserve: RESERVE,
    positions: "compact",
    questionTokens: QUESTION,
    answerTokens: ANSWER,
    tokenizer: fakeTokenizer,
    decodeBudget: policy.decode.evicts ? 16 : Infinity,
    decodeBlock: 8,
  });
}

/** Everything of it: facts, and arrays with the hash of their bytes. What was the most once stays so. */
function allOf(reader: Reader): { facts: string; arrays: string[] } {
  const facts = JSON.stringify({ ...readingFacts(reader), policyMs: 0, peakLive: 0 });
  const arrays = readingArrays(reader).map(({ name, dtype, shape, pieces }) => {
    const hash = createHash("sha256");
    for (const { buffer, byteOffset, byteLength } of pieces) {
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
    }
    return `${name} ${dtype} ${shape} ${hash.digest("hex")}`;
  });
  return { facts, arrays };
}

async function answerOf(reader: Reader): Promise<number[]> {
  const answer = [await reader.likeliestAfter(QUESTION)];
  for (let i = 0; i < 40; i++) answer.push(await reader.likeliestNext(answer.at(-1)!));
  return answer;
}

describe("saved readings", () => {
  after(async () => {
    for (const { close } of opened) await close();
    await rm(folder, { recursive: true, force: true });
  });

  SPECS.forEach((spec, i) => {
    test(`${spec}: a restored reading goes on bit for bit, and a bookmark forgets an answer`, async () => {
      for (const { engine } of i % 6 === 0 ? opened : opened.slice(0, 1)) {
        const first = readerFor(engine, spec), path = join(folder, "reading.pal");
        for (let at = 0; at < 120; at += CHUNK) await first.read(DOCUMENT.slice(at, at + CHUNK));
        if (first.policy.evicts) assert.ok(first.compactions > 0);
        await writeState(files, path, readingFacts(first), readingArrays(first));
        const second = readerFor(engine, spec), state = await openState(files, path);
        restoreFacts(second, state.facts);
        await state.fill(readingArrays(second));
        checkRestored(second, state.facts);
        await state.close();
        assert.deepEqual(allOf(second), allOf(first));
        for (const reader of [first, second]) {
          for (let at = 120; at < DOCUMENT.length; at += CHUNK) await reader.read(DOCUMENT.slice(at, at + CHUNK));
        }
        assert.deepEqual(allOf(second), allOf(first));
        const before = allOf(second), forget = bookmark(second), answer = await answerOf(second);
        assert.notDeepEqual(allOf(second).facts, before.facts);
        forget();
        assert.deepEqual(allOf(second), before);
        assert.deepEqual(await answerOf(second), answer);
        assert.deepEqual(await answerOf(first), answer);
      }
    });
  });

  test("any changed byte is found, and any cut", async () => {
    const reader = readerFor(opened[0]!.engine, "kvzip-quote"),
      path = join(folder, "whole.pal"),
      bad = join(folder, "bad.pal");
    for (let at = 0; at < 120; at += CHUNK) await reader.read(DOCUMENT.slice(at, at + CHUNK));
    await writeState(files, path, readingFacts(reader), readingArrays(reader));
    const whole = await readFile(path),
      restore = async () => {
        const state = await openState(files, bad);
        try {
          const other = readerFor(opened[0]!.engine, "kvzip-quote");
          restoreFacts(other, state.facts);
          await state.fill(readingArrays(other));
          checkRestored(other, state.facts);
        } finally {
          await state.close();
        }
      };
    for (let i = 0; i < 60; i++) {
      const damaged = Uint8Array.from(whole), at = Math.floor(i * (whole.length - 1) / 59);
      damaged[at]! ^= 1 << i % 8;
      await writeFile(bad, damaged);
      await assert.rejects(restore(), { name: "ModelError" }, `byte ${at}`);
      await writeFile(bad, whole.subarray(0, at));
      await assert.rejects(restore(), { name: "ModelError" }, `cut at ${at}`);
    }
  });
});
