import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../../core/errors.ts";
import { openSafetensors, readSafetensors } from "../../core/engine/safetensors.ts";
import { PLAIN } from "../../core/engine/weights.ts";
import { memoryFile, memoryFiles, randomNumbers } from "../host.ts";
import { LLAMA_CONFIG, llamaTensors, safetensorsBytes, type StoredTensor, withHeader } from "./safetensors_bytes.ts";

const weights = safetensorsBytes(llamaTensors(), { format: "pt" });
const folder = (config: object, more: Record<string, Uint8Array | string> = { "m/model.safetensors": weights }) =>
  memoryFiles({ "m/config.json": JSON.stringify(config), ...more });

test("openSafetensors: configuration, names, bytes; opening reads no tensor, tensor() only one", async () => {
  const files = folder(LLAMA_CONFIG);
  const model = await openSafetensors(files, "m");
  assert.deepEqual(model.config, {
    architecture: "llama",
    name: "m",
    layers: 1,
    hidden: 4,
    heads: 2,
    kvHeads: 1,
    headDim: 2,
    ffn: 3,
    vocab: 5,
    trainedPositions: 64,
    normEps: 1e-5,
    ropeTheta: 10000,
    rotaryDim: 2,
    ropeScaling: null,
    tied: true,
    ...PLAIN,
  });
  assert.equal(model.tensors.size, 11);
  const file = files.opened.at(-1)!;
  const headerBytes = 8 + new DataView(weights.buffer).getUint32(0, true);
  assert.equal(file.bytesRead, headerBytes);
  const tensor = await model.tensor("layers.0.mlp.up_proj");
  assert.deepEqual([tensor.type, tensor.shape, tensor.bytes.length], ["BF16", [3, 4], 24]);
  assert.deepEqual(tensor.bytes, llamaTensors()["model.layers.0.mlp.up_proj.weight"]!.bytes);
  assert.equal(file.bytesRead, headerBytes + 24);
  await assert.rejects(model.tensor("lm_head"), { name: "ModelError", message: /lm_head/ });
  await model.close();
  assert.ok(files.opened.every((f) => f.closed));
});

test("openSafetensors: the transformers 5 form and the classic form of a configuration are the same", async () => {
  const { rope_theta: _, ...rest } = LLAMA_CONFIG;
  const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
  const llama3 = { kind: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalPositions: 16 };
  const same: [object, unknown][] = [
    [{ ...rest, rope_parameters: { rope_theta: 5e5, rope_type: "default" }, dtype: "bfloat16" }, null],
    [{ ...rest, rope_theta: 5e5, rope_scaling: null, torch_dtype: "bfloat16" }, null],
    [{ ...rest, rope_parameters: { rope_theta: 5e5, rope_type: "llama3", ...scaling } }, llama3],
    [{ ...rest, rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...scaling } }, llama3],
    [{ ...rest, rope_theta: 5e5, rope_scaling: { type: "linear", factor: 2 } }, { kind: "linear", factor: 2 }],
  ];
  for (const [config, ropeScaling] of same) {
    const model = await openSafetensors(folder(config), "m");
    assert.equal(model.config.ropeTheta, 5e5);
    assert.deepEqual(model.config.ropeScaling, ropeScaling);
  }
});

test("openSafetensors: untied models need lm_head, tied ones ignore it; old frequency tables are ignored", async () => {
  const head: StoredTensor = { dtype: "F16", shape: [5, 4], bytes: new Uint8Array(40) };
  const table: StoredTensor = { dtype: "F32", shape: [1], bytes: new Uint8Array(4) };
  const bytes = safetensorsBytes({
    ...llamaTensors(),
    "lm_head.weight": head,
    "model.layers.0.self_attn.rotary_emb.inv_freq": table,
  });
  const open = (tied: boolean, file: Uint8Array) =>
    openSafetensors(folder({ ...LLAMA_CONFIG, tie_word_embeddings: tied }, { "m/model.safetensors": file }), "m");
  assert.equal((await open(true, bytes)).tensors.has("lm_head"), false);
  assert.equal((await open(false, bytes)).tensors.get("lm_head")?.type, "F16");
  await assert.rejects(open(false, weights), { name: "ModelError", message: /no tensor lm_head/ });
});

test("openSafetensors: shards of an index, beside it only", async () => {
  const tensors = Object.entries(llamaTensors());
  const index = (name: string) =>
    JSON.stringify({
      weight_map: Object.fromEntries(tensors.map(([key], i) => [key, i < 4 ? "a.safetensors" : name])),
    });
  const shards = (name: string) =>
    folder(LLAMA_CONFIG, {
      "m/model.safetensors.index.json": index(name),
      "m/a.safetensors": safetensorsBytes(Object.fromEntries(tensors.slice(0, 4))),
      [`m/${name}`]: safetensorsBytes(Object.fromEntries(tensors.slice(4))),
    });
  const model = await openSafetensors(shards("b-00002.safetensors"), "m");
  assert.equal(model.tensors.size, 11);
  assert.equal((await model.tensor("layers.0.mlp.down_proj")).bytes.length, 24);
  for (const name of ["../b.safetensors", "/etc/b.safetensors", "x/b.safetensors", "b.bin", ".b.safetensors"]) {
    await assert.rejects(openSafetensors(shards(name), "m"), { name: "ModelError", message: /files beside it/ });
  }
});

const gemma = (more: object) => ({ model_type: "gemma3_text", hidden_act: "gelu_pytorch_tanh", ...more });
const smollm = (more: object) => ({ model_type: "smollm3", ...more });
const phi = (factors: object) => ({ model_type: "phi3", rope_scaling: { type: "longrope", ...factors } });
const REFUSED: [what: string, change: Record<string, unknown>, message: RegExp][] = [
  ["architecture bert", { model_type: "bert" }, /model_type is "bert"; llama, .*qwen3.* works/],
  ["no architecture", { model_type: undefined }, /model_type is missing/],
  ["biases", { attention_bias: true }, /attention_bias is true; false works/],
  ["gelu", { hidden_act: "gelu" }, /hidden_act is "gelu"/],
  ["quantised checkpoints", { quantization_config: { quant_method: "gptq" } }, /"gptq"; give the unquantised/],
  ["yarn", { rope_scaling: { rope_type: "yarn", factor: 4 } }, /rope_type is "yarn"/],
  ["partial rotary", { partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5; a part of 2/],
  ["llama3 without its factors", { rope_scaling: { rope_type: "llama3", factor: 8 } }, /low_freq_factor is missing/],
  ["a hidden size as text", { hidden_size: "4" }, /hidden_size is "4"/],
  ["2^60 layers", { num_hidden_layers: 2 ** 60 }, /num_hidden_layers is/],
  ["2^31 - 1 layers", { num_hidden_layers: 2 ** 31 - 1 }, /no tensor layers\.1\./],
  ["3 heads", { head_dim: undefined, num_attention_heads: 3 }, /head_dim is 1\.33/],
  [
    "Qwen 2 with a window",
    { model_type: "qwen2", use_sliding_window: true },
    /use_sliding_window is true; false works/,
  ],
  [
    "Gemma 3 with a list of layers that is too short",
    gemma({ layer_types: [] }),
    /layer_types is \[\]; .* list of 1 kinds/,
  ],
  ["Gemma 3 with an unknown kind of layers", gemma({ layer_types: ["chunked"] }), /layer_types is \["chunked"\]/],
  ["Gemma 3 without a window", gemma({}), /sliding_window is missing/],
  ["Gemma 3 with a soft cap", gemma({ final_logit_softcapping: 30 }), /final_logit_softcapping is 30; models without/],
  ["SmolLM 3 with other layers than it has", smollm({ no_rope_layers: [1, 1] }), /no_rope_layers is .* 1 numbers/],
  ["SmolLM 3 with another interval", smollm({ no_rope_layer_interval: 3 }), /no_rope_layer_interval is 3; 4 works/],
  ["Phi 3 with too few factors", phi({ short_factor: [] }), /short_factor is \[\]; 1 numbers above 0 are needed/],
  ["Phi 3 with a factor of 0", phi({ short_factor: [0] }), /short_factor is \[0\]/],
  ["a wrong vocabulary", { vocab_size: 6 }, /embed_tokens has shape \[5, 4\]/],
];

for (const [what, change, message] of REFUSED) {
  test(`openSafetensors refuses ${what}`, async () => {
    const files = folder({ ...LLAMA_CONFIG, ...change });
    await assert.rejects(openSafetensors(files, "m"), { name: "ModelError", message });
    assert.ok(files.opened.every((file) => file.closed));
  });
}

test("openSafetensors refuses missing files, broken JSON and integer weights", async () => {
  await assert.rejects(openSafetensors(memoryFiles({}), "m"), {
    name: "ModelError",
    message: /it has no config\.json/,
  });
  await assert.rejects(openSafetensors(folder(LLAMA_CONFIG, {}), "m"), {
    name: "ModelError",
    message: /neither model\.safetensors/,
  });
  const broken = memoryFiles({ "m/config.json": "{" });
  await assert.rejects(openSafetensors(broken, "m"), { name: "ModelError", message: /no JSON object/ });
  const tensors = llamaTensors();
  tensors["model.norm.weight"] = { dtype: "I32", shape: [4], bytes: new Uint8Array(16) };
  const integers = folder(LLAMA_CONFIG, { "m/model.safetensors": safetensorsBytes(tensors) });
  await assert.rejects(openSafetensors(integers, "m"), {
    name: "ModelError",
    message: /is I32; F32, F16 and BF16 work/,
  });
});

test("readSafetensors: every kind of array, metadata, an empty array and a scalar", async () => {
  const bytesOf = (array: ArrayBufferView) =>
    new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
  const stored: [string, ArrayBufferView, unknown[]][] = [
    ["F32", Float32Array.of(1.5, -2), [1.5, -2]],
    ["F64", Float64Array.of(Math.PI), [Math.PI]],
    ["F16", Uint16Array.of(0x3c00, 0xc000), [1, -2]],
    ["BF16", Uint16Array.of(0x3f80, 0xc000), [1, -2]],
    ["I64", BigInt64Array.of(-5n, 2n ** 40n), [-5n, 2n ** 40n]],
    ["I32", Int32Array.of(-7, 8), [-7, 8]],
    ["U8", Uint8Array.of(255, 0, 3), [255, 0, 3]],
    ["BOOL", Uint8Array.of(1), [1]],
    ["I8", Int8Array.of(), []],
  ];
  const tensors = Object.fromEntries(stored.map(([dtype, array, values]) => [
    "x." + dtype,
    { dtype, shape: dtype === "BOOL" ? [] : [values.length], bytes: bytesOf(array) },
  ]));
  const file = await readSafetensors(memoryFile(safetensorsBytes(tensors, { policy: "snapkv" })));
  assert.equal(file.metadata.get("policy"), "snapkv");
  for (const [dtype, , values] of stored) {
    const { shape, data } = await file.read("x." + dtype);
    assert.deepEqual(Array.from(data as ArrayLike<unknown>), values, dtype);
    assert.deepEqual(shape, dtype === "BOOL" ? [] : [values.length]);
  }
  await assert.rejects(file.read("y"), { name: "ModelError", message: /none of that name/ });
});

test("readSafetensors refuses hostile headers", async () => {
  const entry = (change: object) =>
    JSON.stringify({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...change } });
  const data = [new Uint8Array(8)];
  const hugeLength = withHeader("{}");
  new DataView(hugeLength.buffer).setBigUint64(0, 2n ** 63n, true);
  const hostile: [Uint8Array, RegExp][] = [
    [new Uint8Array(3), /3 bytes/],
    [hugeLength, /claim a header of 9223372036854/],
    [new Uint8Array(16).fill(255), /claim a header/],
    [withHeader("[]"), /no JSON object/],
    [withHeader("nonsense"), /no JSON object/],
    [withHeader("[".repeat(200_000)), /no JSON object/],
    [withHeader(`{"__metadata__":{"a":${"[".repeat(9000)}${"]".repeat(9000)}}}`), /__metadata__ holds other things/],
    [withHeader('{"__metadata__":{"a":1}}'), /__metadata__ holds other things than texts/],
    [
      withHeader(`{"w":1,"\\u0077":${JSON.stringify({ dtype: "F32", shape: [2], data_offsets: [0, 8] })}}`, data),
      /twice/,
    ],
    [withHeader('{"w":null}'), /"w" has dtype/],
    [withHeader(entry({ dtype: "F8_E4M3" }), data), /dtype "F8_E4M3", where F64/],
    [withHeader(entry({ dtype: "constructor" }), data), /dtype/],
    [withHeader(entry({ shape: [-2] }), data), /no valid shape/],
    [withHeader(entry({ shape: [3] }), data), /8 bytes, where they take 12/],
    [withHeader(entry({ shape: [2 ** 52, 2 ** 52] }), data), /where they take/],
    [withHeader(entry({ data_offsets: [8, 0] }), data), /-8 bytes/],
    [withHeader(entry({ data_offsets: [0, 2 ** 60] }), data), /data_offsets/],
    [withHeader(entry({ data_offsets: [8, 16] }), data), /ends at byte/],
  ];
  for (const [bytes, message] of hostile) {
    await assert.rejects(readSafetensors(memoryFile(bytes, "x.safetensors")), { name: "ModelError", message });
  }
});

test("openSafetensors: cut files and flipped bytes come out as a model or a ModelError", async () => {
  const random = randomNumbers(4);
  const survives = async (bytes: Uint8Array) => {
    try {
      const model = await openSafetensors(folder(LLAMA_CONFIG, { "m/model.safetensors": bytes }), "m");
      for (const name of model.tensors.keys()) await model.tensor(name);
      return true;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      return false;
    }
  };
  for (let length = 0; length < weights.length; length += 13) {
    assert.equal(await survives(weights.subarray(0, length)), false, `cut at ${length}`);
  }
  for (let round = 0; round < 1500; round++) {
    const damaged = weights.slice();
    for (let i = 0; i < 2; i++) damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
    await survives(damaged);
  }
});
