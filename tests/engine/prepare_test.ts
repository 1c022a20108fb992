/** Weights are prepared some rows at a time: the file must be the same as of whole tensors. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { toBlocks } from "../../core/engine/blocks.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import { NO_FEATURES } from "../../core/engine/features.ts";
import type { WeightIndex } from "../../core/engine/linear.ts";
import { refuseLargeWeights } from "../../core/engine/weight_groups.ts";
import { openModelFile } from "../../core/engine/open.ts";
import { prepare } from "../../core/engine/prepare.ts";
import { files, fixture, randomNumbers } from "../host.ts";
import { f32, ggufBytes, text, texts, u32 } from "./gguf_bytes.ts";

/** A Llama whose embedding has more rows than are prepared at a time, and not a multiple of them: Q4_1, which is requantised. */
function wideVocabulary(): Uint8Array {
  const hidden = 64, vocab = 66003, random = randomNumbers(11);
  const bytes = new Uint8Array(vocab * hidden / 32 * 20).map(() => random() * 256);
  for (let i = 0; i < bytes.length; i += 20) bytes[i + 1] = bytes[i + 3] = 0x20; // scales and minima of about 0.01
  const matrix = (name: string, rows: number) => ({
    name: `${name}.weight`,
    shape: [rows, hidden],
    type: 3,
    bytes: bytes.subarray(0, rows * hidden / 32 * 20),
  });
  const gains = (name: string) => ({
    name: `${name}.weight`,
    shape: [hidden],
    type: 0,
    bytes: new Uint8Array(new Float32Array(hidden).fill(1).buffer),
  });
  return ggufBytes({
    metadata: [
      ["general.architecture", text("llama")],
      ["llama.block_count", u32(1)],
      ["llama.context_length", u32(64)],
      ["llama.embedding_length", u32(hidden)],
      ["llama.feed_forward_length", u32(hidden)],
      ["llama.attention.head_count", u32(2)],
      ["llama.attention.head_count_kv", u32(2)],
      ["llama.attention.layer_norm_rms_epsilon", f32(1e-5)],
      ["tokenizer.ggml.tokens", texts(Array.from({ length: vocab }, (_, i) => `t${i}`))],
    ],
    tensors: [
      matrix("token_embd", vocab),
      ...["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map((name) =>
        matrix(`blk.0.${name}`, hidden)
      ),
      ...["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"].map(gains),
    ],
  });
}

for (const format of ["blocks", "f32"] as const) {
  test(`prepare (${format}): a matrix in several pieces is that of the whole tensor`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "palimpsest-prepare-"));
    try {
      await writeFile(join(folder, "model.gguf"), wideVocabulary());
      const model = await openModelFile(files, join(folder, "model.gguf"));
      const largest: number[] = [];
      const watched = {
        ...model,
        tensor: async (...asked: Parameters<typeof model.tensor>) => {
          const tensor = await model.tensor(...asked);
          largest.push(tensor.bytes.length);
          return tensor;
        },
      };
      const { weightsPath } = await prepare(files, folder, watched, format, NO_FEATURES);
      const index: WeightIndex = JSON.parse(await readFile(weightsPath.replace(/\.weights$/, ".json"), "utf8"));
      const stored = new Uint8Array(await readFile(weightsPath)), whole = await model.tensor("embed_tokens");
      assert.ok(Math.max(...largest) < whole.bytes.length);
      const part = ({ offset, length }: { offset: number; length: number }) => stored.slice(offset, offset + length);
      const entry = index.entries["embed_tokens"]!;
      if (entry.kind === "float") {
        assert.deepEqual(part(entry.data), new Uint8Array(dequantise(whole.type, whole.bytes).buffer));
      } else {
        const expected = toBlocks(whole);
        assert.deepEqual(part(entry.data), expected.data);
        assert.deepEqual(part(entry.scales), new Uint8Array(expected.scales.buffer));
        assert.deepEqual(part(entry.zeroPoints!), expected.zeroPoints);
      }
      await model.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

for (const path of ["gguf/llama3rope.q4_0.gguf", "golden/models/phi3"]) {
  test(`tensor() of ${path}: some rows are those of the whole, in the graph's order; parts of heads are none`, async () => {
    const model = await openModelFile(files, fixture(path)), { headDim, vocab } = model.config;
    try {
      for (
        const [name, first, count] of [["layers.1.self_attn.k_proj", headDim, headDim], ["embed_tokens", 7, 5]] as const
      ) {
        const whole = await model.tensor(name), rowBytes = whole.bytes.length / whole.shape[0]!;
        const part = await model.tensor(name, { first, count });
        assert.deepEqual(part.shape, [count, whole.shape[1]]);
        assert.deepEqual(part.bytes, whole.bytes.slice(first * rowBytes, (first + count) * rowBytes));
      }
      if (path.endsWith("gguf")) {
        const half = { first: 0, count: headDim / 2 };
        await assert.rejects(model.tensor("layers.1.self_attn.k_proj", half), RangeError);
      }
      await assert.rejects(model.tensor("embed_tokens", { first: vocab - 1, count: 2 }), RangeError);
    } finally {
      await model.close();
    }
  });
}

for (const [path, format] of [["llama", "f32"], ["llama", "blocks"], ["phi3", "blocks"]] as const) {
  test(`refuseLargeWeights (${path}, ${format}): from the file that is written on, not before, and all at once`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "palimpsest-large-"));
    const model = await openModelFile(files, fixture(`golden/models/${path}`));
    try {
      const { weightsPath } = await prepare(files, folder, model, format, NO_FEATURES);
      const index: WeightIndex = JSON.parse(await readFile(weightsPath.replace(/\.weights$/, ".json"), "utf8"));
      const largest = Math.max(...Object.values(index.entries).map(({ data }) => data.length));
      const limits = { device: "A small device", oneBytes: largest, allBytes: Infinity };
      refuseLargeWeights(model, format, limits);
      const told = {
        name: "DeviceError",
        message: new RegExp(`^A small device .*${largest - 1} .* takes ${largest}; --device cpu`),
      };
      assert.throws(() => refuseLargeWeights(model, format, { ...limits, oneBytes: largest - 1 }), told);
      const { size } = await files.open(weightsPath).then((file) => file.close().then(() => file));
      assert.throws(() => refuseLargeWeights(model, format, { ...limits, allBytes: size / 2 }), {
        name: "DeviceError",
      });
      refuseLargeWeights(model, format, { ...limits, allBytes: size });
    } finally {
      await model.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
}
