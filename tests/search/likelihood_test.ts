import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadOnnxRuntimeNode } from "../../cli/runtimes/native.ts";
import { negativeLogLikelihood } from "../../core/decode/log_probabilities.ts";
import { allLogits } from "../../core/eval/execution_error.ts";
import { parsePolicy } from "../../core/policies.ts";
import { byLikelihood } from "../../core/search/likelihood.ts";
import { type EngineModel, openModel } from "../../mod.ts";
import { files, fixture } from "../host.ts";

const folder = mkdtempSync(join(tmpdir(), "palimpsest-likelihood-")), opened: EngineModel[] = [];
after(async () => {
  for (const model of opened) await model.close();
  rmSync(folder, { recursive: true, force: true });
});
async function open(path: string, policy: string) {
  const model = await openModel({
    path: fixture(path),
    device: "cpu",
    threads: 1,
    cacheFolder: folder,
    files,
    policy,
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
  }) as EngineModel;
  opened.push(model);
  return model;
}
const passages = [
  "The fox jumps.",
  "A walrus sleeps on the ice.",
  "Nobody signed the contract in May.",
  "Copper is dear.",
]
  .map((text) => ({ at: 0, text }));

for (const [path, policy] of [["gguf/llama.q8_0.gguf", "question-quote"], ["gguf/llama.f32.gguf", "moment"]] as const) {
  test(`byLikelihood: the order of mean −ln p of the question's tokens (${path}, ${policy})`, async () => {
    const { engine, tokenizer, config: { vocab } } = await open(path, policy), question = "Who signed the contract?";
    const asked = tokenizer.encode(` ${question}`, { control: false }), expected: [number, string][] = [];
    for (const { text } of passages) {
      const tokens = [...tokenizer.encode(`${text}\n\nQuestion:`, { control: false }), ...asked];
      const logits = await allLogits(engine, tokens.slice(0, -1));
      expected.push([negativeLogLikelihood(logits.subarray(logits.length - asked.length * vocab), asked, vocab), text]);
    }
    const found = await byLikelihood({ engine, tokenizer, policy: parsePolicy(policy) }, question, passages);
    assert.deepEqual(found.map(({ text }) => text), expected.sort((a, b) => a[0] - b[0]).map(([, text]) => text));
  });
}
