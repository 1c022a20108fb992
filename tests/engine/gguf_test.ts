import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { dequantise } from "../../core/engine/dequantise.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import { reordered, rowOrder } from "../../core/engine/stored_tensors.ts";
import { PLAIN } from "../../core/engine/weights.ts";
import { toBlocks } from "../../core/engine/blocks.ts";
import { counted, files, fixture, memoryFile } from "../host.ts";
import { f32, ggufBytes, text, texts, tinyLlama, u32 } from "./gguf_bytes.ts";

interface Expected {
  tensors: Record<string, string>;
  factors?: number[];
}
const expected: Record<string, Expected> = JSON.parse(readFileSync(fixture("gguf/expected.json"), "utf8"));

for (const [name, { tensors, factors }] of Object.entries(expected)) {
  test(`openGguf ${name}: every tensor equals the Hugging Face original in value and row order`, async () => {
    const model = await openGguf(await files.open(fixture(`gguf/${name}`)));
    assert.deepEqual([...model.tensors.keys()].sort(), Object.keys(tensors).sort());
    for (const [tensorName, hash] of Object.entries(tensors)) {
      const tensor = await model.tensor(tensorName);
      const values = dequantise(tensor.type, tensor.bytes);
      const got = createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
      assert.equal(got, hash, tensorName);
    }
    const scaling = model.config.ropeScaling;
    if (factors) {
      assert.equal(scaling?.kind, "factors");
      assert.deepEqual([...scaling.factors], factors);
    } else assert.equal(scaling, null);
    await model.close();
  });
}

test("openGguf llama.f32.gguf: configuration and metadata as written", async () => {
  const model = await openGguf(await files.open(fixture("gguf/llama.f32.gguf")));
  const { normEps, ...config } = model.config;
  assert.ok(Math.abs(normEps - 1e-5) < 1e-12);
  assert.deepEqual(config, {
    architecture: "llama",
    name: "Palimpsest fixture llama",
    layers: 4,
    hidden: 128,
    heads: 4,
    kvHeads: 2,
    headDim: 32,
    ffn: 256,
    vocab: 512,
    trainedPositions: 4096,
    ropeTheta: 10000,
    rotaryDim: 32,
    ropeScaling: null,
    tied: false,
    ...PLAIN,
  });
  assert.equal((model.metadata.get("tokenizer.ggml.tokens") as string[]).length, 512);
  assert.equal(model.metadata.get("tokenizer.ggml.eos_token_id"), 2);
  assert.equal(model.metadata.get("tokenizer.ggml.add_bos_token"), false);
  await model.close();
});

test("openGguf reads the header, tensor() reads one tensor, and neither reads more", async () => {
  const file = counted(await files.open(fixture("gguf/llama.f32.gguf")));
  const model = await openGguf(file);
  assert.ok(file.bytesRead <= 1 << 16, `${file.bytesRead} of ${file.size} bytes were read to open it`);
  file.bytesRead = 0;
  const { byteLength } = model.tensors.get("layers.1.self_attn.q_proj")!;
  assert.equal((await model.tensor("layers.1.self_attn.q_proj")).bytes.length, byteLength);
  assert.equal(file.bytesRead, byteLength);
  await assert.rejects(model.tensor("layers.9.mlp.up_proj"), {
    name: "ModelError",
    message: /layers\.9\.mlp\.up_proj/,
  });
  await model.close();
  assert.ok(file.closed);
});

test("openGguf: a vocabulary of 256k strings and scores opens in under two seconds", async () => {
  const { metadata, tensors } = tinyLlama();
  const tokens = Array.from({ length: 256_000 }, (_, i) => `▁token${i}`);
  metadata.push(["some.strings", texts(tokens)], ["some.scores", {
    type: 9,
    element: 6,
    value: tokens.map((_, i) => -i),
  }]);
  const file = memoryFile(ggufBytes({ metadata, tensors }));
  const start = performance.now();
  const model = await openGguf(file);
  assert.ok(performance.now() - start < 2000, `took ${performance.now() - start} ms`);
  assert.deepEqual(model.metadata.get("some.strings"), tokens);
  assert.equal((model.metadata.get("some.scores") as number[])[255_999], -255_999);
  assert.ok(file.bytesRead < file.size * 1.1, "windows are read twice");
});

test("openGguf: every metadata type, nested arrays, a BOM in a token, version 2, other alignment", async () => {
  const { metadata, tensors } = tinyLlama();
  metadata.push(
    ["t.u8", { type: 0, value: 255 }],
    ["t.i8", { type: 1, value: -128 }],
    ["t.u16", { type: 2, value: 65535 }],
    ["t.i16", { type: 3, value: -32768 }],
    ["t.i32", { type: 5, value: -5 }],
    ["t.bool", { type: 7, value: true }],
    ["t.u64", { type: 10, value: 2 ** 40 + 1 }],
    ["t.i64", { type: 11, value: -(2 ** 40) - 1 }],
    ["t.f64", { type: 12, value: Math.PI }],
    ["t.nested", {
      type: 9,
      element: 9,
      value: [{ type: 9, element: 0, value: [1, 2] }, { type: 9, element: 8, value: ["x"] }],
    }],
    ["general.alignment", u32(64)],
  );
  const model = await openGguf(memoryFile(ggufBytes({ version: 2, metadata, tensors, alignment: 64 })));
  const got = Object.fromEntries(model.metadata);
  assert.deepEqual(
    ["u8", "i8", "u16", "i16", "i32", "bool", "u64", "i64", "f64", "nested"].map((key) => got["t." + key]),
    [255, -128, 65535, -32768, -5, true, 2 ** 40 + 1, -(2 ** 40) - 1, Math.PI, [[1, 2], ["x"]]],
  );
  assert.equal((got["tokenizer.ggml.tokens"] as string[])[4], "\uFEFFe");
  assert.equal(model.config.tied, true);
  assert.equal(model.config.headDim, 2);
  assert.equal(model.config.name, "memory");
  const value = await model.tensor("layers.0.self_attn.v_proj");
  assert.deepEqual([...dequantise(value.type, value.bytes)], [53, 54, 55, 56, 57, 58, 59, 60]);
});

test("rowOrder undoes llama.cpp's permute: row 2i + h becomes row h · headDim / 2 + i of the same head", () => {
  // Hugging Face rows 0…7 of two heads of 4 stand in the file as reshape(2, 2, 2).swapaxes(1, 2).
  const stored = Uint8Array.of(0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7);
  assert.deepEqual([...reordered(stored, 8, rowOrder({ headDim: 4, rotaryDim: 4 }, true)!)], [
    0,
    0,
    1,
    1,
    2,
    2,
    3,
    3,
    4,
    4,
    5,
    5,
    6,
    6,
    7,
    7,
  ]);
});

test("openGguf: linear scaling, explicit key length, fewer tokens than embedding rows", async () => {
  const { metadata, tensors } = tinyLlama();
  const changed = metadata.map(([key, value]): typeof metadata[number] =>
    key === "tokenizer.ggml.tokens" ? [key, texts(["a"])] : [key, value]
  );
  changed.push(
    ["llama.rope.scaling.type", text("linear")],
    ["llama.rope.scaling.factor", f32(4)],
    ["llama.attention.key_length", u32(2)],
    ["llama.rope.freq_base", f32(5e5)],
  );
  const { config } = await openGguf(memoryFile(ggufBytes({ metadata: changed, tensors })));
  assert.deepEqual(config.ropeScaling, { kind: "linear", factor: 4 });
  assert.equal(config.vocab, 5);
  assert.equal(config.ropeTheta, 5e5);
});

const modelPath = process.env.PALIMPSEST_TEST_MODEL;
const reason = "PALIMPSEST_TEST_MODEL names no .gguf file";
test(`openGguf: the real model opens and converts${modelPath ? "" : ` (skipped: ${reason})`}`, {
  skip: modelPath ? false : reason,
}, async () => {
  const file = counted(await files.open(modelPath!));
  const model = await openGguf(file);
  assert.ok(file.bytesRead < 16 << 20 && file.bytesRead < file.size / 10, `${file.bytesRead} bytes to open`);
  assert.ok(model.config.vocab >= (model.metadata.get("tokenizer.ggml.tokens") as string[]).length);
  for (const name of ["norm", "layers.0.self_attn.q_proj", `layers.${model.config.layers - 1}.mlp.down_proj`]) {
    const tensor = await model.tensor(name);
    assert.ok(dequantise(tensor.type, tensor.bytes).every(Number.isFinite), name);
    if (tensor.shape.length === 2) assert.equal(toBlocks(tensor).rows, tensor.shape[0]);
  }
  await model.close();
});
