/** `models --check`: what is executed against what the file says, measured once. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { executionForms } from "../../core/engine/execution_forms.ts";
import { executionError } from "../../core/eval/execution_error.ts";
import { fixture } from "../host.ts";
import { palimpsest, withFolder } from "./helpers.ts";

test("executionError: nothing between equal logits; KL, agreement and perplexity of known rows", () => {
  const vocab = 2, ids = [0, 1, 0], even = Float32Array.of(0, 0, 0, 0, 0, 0);
  const none = executionError(even, even, ids, vocab);
  assert.deepEqual([none.kl.mean, none.kl.most, none.topOne.share], [0, 0, 1]);
  assert.ok(Math.abs(none.perplexity.exact - 2) < 1e-12 && none.perplexity.executed === none.perplexity.exact);
  // the second row says 1 : 3 where it was 1 : 1
  const other = executionError(even, Float32Array.of(0, 0, 0, Math.log(3), 0, 0), ids, vocab);
  const kl = Math.log(0.5) - 0.5 * (Math.log(0.25) + Math.log(0.75));
  assert.ok(Math.abs(other.kl.most - kl) < 1e-6 && Math.abs(other.kl.mean - kl / 3) < 1e-6);
  assert.ok(Math.abs(other.topOne.share - 2 / 3) < 1e-12);
  assert.ok(Math.abs(other.perplexity.executed - Math.exp((Math.log(2) + Math.log(4)) / 2)) < 1e-6);
});

test("executionForms: matrices by type and form, vectors in f32", () => {
  const tensors = new Map([
    ["a", { type: "Q4_K" as const, shape: [4, 256], byteLength: 0 }],
    ["b", { type: "Q4_K" as const, shape: [8, 256], byteLength: 0 }],
    ["c", { type: "IQ4_XS" as const, shape: [1, 256], byteLength: 0 }],
    ["d", { type: "F32" as const, shape: [7], byteLength: 0 }],
  ]);
  assert.deepEqual(executionForms({ tensors }), [
    { type: "Q4_K", tensors: 2, weights: 3072, bits: 8, blockSize: 64, isRounded: true },
    { type: "IQ4_XS", tensors: 1, weights: 256, bits: 8, blockSize: 32, isRounded: false },
    { type: "F32", tensors: 1, weights: 7, bits: 32, blockSize: null, isRounded: false },
  ]);
});

test("models --check: a record that is remembered, and nothing else stays behind; --fresh measures again", () =>
  withFolder(async (folder) => {
    const env = { PALIMPSEST_CACHE: folder, PALIMPSEST_THREADS: "1" }, model = fixture("gguf/llama.q8_0.gguf");
    const check = async (...flags: string[]) => {
      const { code, stdout, stderr } = await palimpsest(["models", "--check", model, ...flags], { env });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const record = JSON.parse(await check("--json"));
    assert.equal(record.schema, "palimpsest.check/1");
    assert.ok(record.kl.mean > 0 && record.kl.mean < 0.05 && record.kl.most >= record.kl.mean, `${record.kl.mean}`);
    assert.ok(record.topOne.share > 0.9 && record.topOne.low < record.topOne.share);
    assert.deepEqual(record.forms[0], {
      type: "Q8_0",
      tensors: 30,
      weights: 720896,
      bits: 8,
      blockSize: 32,
      isRounded: false,
    });
    assert.deepEqual(readdirSync(folder), ["graphs"]);
    const graphs = join(folder, "graphs", record.model.sha256.slice(0, 16));
    const kept = readdirSync(graphs).filter((name) => name.startsWith("check-"));
    assert.equal(kept.length, 1);
    assert.ok(!readdirSync(graphs).some((name) => name.startsWith("f32")));
    // what is remembered is what is said
    writeFileSync(join(graphs, kept[0]!), JSON.stringify({ ...record, kl: { ...record.kl, mean: 0.123 } }));
    assert.match(
      await check(),
      /KL per token +0\.123 nats[^]*Q8_0 +30 +720,896 +8 bits in blocks of 32, no value changed/,
    );
    assert.deepEqual(JSON.parse(await check("--fresh", "--json")), record);
  }));

test("models --check: a text of the user's, one too short, one that is missing, flags without it", () =>
  withFolder(async (folder) => {
    const env = { PALIMPSEST_CACHE: folder, PALIMPSEST_THREADS: "1" }, model = fixture("gguf/llama.q8_0.gguf");
    const text = join(folder, "text.txt"), run = (...args: string[]) => palimpsest(["models", ...args], { env });
    writeFileSync(text, "The harbour keeps two cranes. ".repeat(4));
    const { code, stdout } = await run("--check", model, "--text", text, "--json");
    const { tokens, text: { name } } = JSON.parse(stdout);
    assert.deepEqual([code, name], [0, text]);
    assert.ok(tokens > 16 && tokens < 200);
    writeFileSync(text, "short");
    const short = await run("--check", model, "--text", text);
    assert.deepEqual([short.code, /too few to compare on; 16 or more work/.test(short.stderr)], [3, true]);
    assert.equal((await run("--check", model, "--text", join(folder, "none.txt"))).code, 3);
    assert.equal((await run("--check", "none")).code, 5);
    for (const flags of [["--text", text], ["--fresh"]]) {
      const { code, stderr } = await run(...flags);
      assert.deepEqual([code, /goes with --check/.test(stderr)], [2, true]);
    }
  }));
