import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadOnnxRuntimeNode } from "../../cli/runtimes/native.ts";
import {
  asksTheQuestion,
  FORCED_TOKENS,
  hearsTheQuestion,
  measureFull,
  measurePolicy,
} from "../../core/eval/measure.ts";
import { modelsFrom } from "../../core/eval/models.ts";
import { read } from "../../core/eval/reading.ts";
import type { Sample } from "../../core/eval/task.ts";
import { openModel } from "../../core/model.ts";
import { files, fixture } from "../host.ts";

const folder = mkdtempSync(join(tmpdir(), "palimpsest-eval-"));
let opened = 0;
const models = modelsFrom((policy) => {
  opened++;
  return openModel({
    path: fixture("gguf/llama.f32.gguf"),
    device: "cpu",
    threads: 1,
    cacheFolder: folder,
    files,
    policy,
    weights: "f32",
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
  });
});
after(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

const settings = { chunkTokens: 64, positions: "original" as const, availableBytes: 1e9 };
const sample: Sample = {
  task: "fake",
  context: "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. ".repeat(4),
  question: "Who jumps?",
  answerPrefix: "It is",
  answers: ["fox"],
  maxNewTokens: 12,
  metric: "f1",
  guessable: true,
  seed: 1,
};
const reference = await measureFull(models.for, sample, settings);

test("measureFull: a random model's answer, as many tokens as are compared, mass that sums up", () => {
  const { measured, tokens, logits, mass } = reference;
  assert.ok(tokens.length > 0 && tokens.length <= FORCED_TOKENS);
  assert.ok(logits.length % tokens.length === 0);
  assert.deepEqual([measured.kl, measured.top1, measured.hitRate], [0, 1, 1]);
  assert.equal(measured.costs.compactions, 0);
  assert.equal(typeof measured.known, "number");
  for (const row of mass) {
    assert.equal(row.length, mass[0]!.length);
    const sum = row.reduce((a, b) => a + b, 0);
    assert.ok(sum > 0.2 && sum < 1, `the document gets ${sum} of the attention, question and answer the rest`);
  }
});

test("measureFull: the forced pass gives the tokens that were written, so that nothing is compared with something else", () => {
  const { tokens, logits } = reference, vocab = logits.length / tokens.length;
  const chosen = tokens.map((_, row) => {
    const line = logits.subarray(row * vocab, (row + 1) * vocab);
    return line.indexOf(line.reduce((a, b) => Math.max(a, b)));
  });
  assert.deepEqual(chosen, tokens);
});

for (const policy of ["question", "snapkv", "streaming"]) {
  test(`measurePolicy: with a budget for everything, ${policy} is the full cache`, async () => {
    const cell = { policy, strategy: "stream" as const, budget: { slots: 2000 }, protocol: "aware" as const };
    const measured = await measurePolicy(models.for, sample, reference, cell, settings);
    assert.ok(measured.kl! < 1e-6, `KL ${measured.kl}`);
    assert.deepEqual([measured.top1, measured.hitRate, measured.costs.compactions], [1, 1, 0]);
    assert.deepEqual([measured.answer, measured.score], [reference.measured.answer, reference.measured.score]);
  });

  test(`measurePolicy: at a quarter, ${policy} keeps what it may, loses something, and costs are told`, async () => {
    const cell = { policy, strategy: "stream" as const, budget: { share: 0.25 }, protocol: "aware" as const };
    const measured = await measurePolicy(models.for, sample, reference, cell, settings);
    assert.equal(measured.budgetSlots, Math.round(reference.measured.contextTokens / 4));
    assert.ok(measured.kl! > 1e-6 && Number.isFinite(measured.kl), `KL ${measured.kl}`);
    assert.ok(measured.hitRate! > 0 && measured.hitRate! < 1, `hit rate ${measured.hitRate}`);
    const { chunks, compactions, policyMs, prefillMs, peakLiveSlots, kvBytes } = measured.costs;
    assert.ok(compactions > 0 && compactions <= chunks);
    assert.ok(policyMs > 0 && policyMs < prefillMs);
    assert.ok(peakLiveSlots <= measured.budgetSlots + settings.chunkTokens);
    assert.ok(kvBytes < reference.measured.costs.kvBytes);
  });
}

test("measurePolicy: a share of a document that is too short is the least that a policy works with", async () => {
  const cell = { policy: "snapkv", strategy: "stream", budget: { share: 0.01 }, protocol: "aware" } as const;
  assert.equal((await measurePolicy(models.for, sample, reference, cell, settings)).budgetSlots, 37);
});

test("measurePolicy: other strategies are measured by what they answer, in the same memory", async () => {
  const cell = { policy: "snapkv", budget: { share: 0.25 }, protocol: "aware" as const };
  for (const [policy, strategy] of [["snapkv", "stream+verify"], ["full", "map-reduce"]] as const) {
    const measured = await measurePolicy(models.for, sample, reference, { ...cell, policy, strategy }, settings);
    assert.deepEqual([measured.kl, measured.top1, measured.hitRate], [null, null, null]);
    assert.equal(measured.budgetSlots, Math.round(reference.measured.contextTokens / 4));
    const { compactions, prefillMs, wholeMs } = measured.costs;
    assert.equal(compactions > 0, strategy === "stream+verify");
    assert.ok(prefillMs > 0 && prefillMs <= wholeMs);
  }
});

test("agnostic: a policy that asks with the question is refused, others read the same", async () => {
  const cell = { strategy: "stream" as const, budget: { share: 0.25 }, protocol: "agnostic" as const };
  await assert.rejects(measurePolicy(models.for, sample, reference, { ...cell, policy: "question" }, settings), {
    name: "UsageError",
    message: /question/,
  });
  const [aware, agnostic] = [
    await measurePolicy(models.for, sample, reference, { ...cell, policy: "snapkv", protocol: "aware" }, settings),
    await measurePolicy(models.for, sample, reference, { ...cell, policy: "snapkv" }, settings),
  ];
  assert.deepEqual([agnostic.kl, agnostic.answer], [aware.kl, aware.answer]);
  assert.deepEqual(["question", "snapkv", "full"].map(asksTheQuestion), [true, false, false]);
  const hearing = ["question", "metasoft", "lookahead", "judgeq", "snapkv"].map(hearsTheQuestion);
  assert.deepEqual(hearing, [true, true, true, false, false]);
});

test("read: what is rehearsed leaves no trace", async () => {
  const model = await models.for("full"), reading = await read(model, sample, "full", null, false, settings);
  const before = (await reading.forced([5, 6, 7], false)).logits!.slice();
  const [first, second] = [await reading.rehearse(6, () => false), await reading.rehearse(6, () => false)];
  assert.deepEqual(first, second);
  assert.deepEqual((await reading.forced([5, 6, 7], false)).logits, before);
});

test("read: an aborted signal stops between chunks", async () => {
  const signal = AbortSignal.abort();
  await assert.rejects(read(await models.for("full"), sample, "full", null, false, { ...settings, signal }), {
    name: "InterruptedError",
  });
});

test("modelsFrom: one session for policies that need the same of the graph", async () => {
  const before = opened;
  assert.equal(await models.for("streaming"), await models.for("full"));
  assert.notEqual(await models.for("question"), await models.for("snapkv"));
  assert.equal(opened, before);
});
