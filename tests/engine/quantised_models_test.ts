/** A small Llama of every quantised type runs, and its form for execution stays near its values in f32. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { dequantise, FORMATS } from "../../core/engine/dequantise.ts";
import { cacheShape } from "../../core/engine/layers.ts";
import { readSafetensors } from "../../core/engine/safetensors.ts";
import type { TensorType } from "../../core/engine/weights.ts";
import { forward } from "../golden/forward.ts";
import { using } from "../golden/open.ts";
import { files, fixture } from "../host.ts";
import { f32, ggufBytes, type GgufTensor, text, texts, u32 } from "./gguf_bytes.ts";

const quants = await readSafetensors(await files.open(fixture("quants/quants.safetensors")));
const HIDDEN = 256, VOCAB = 64, IDS = Array.from({ length: 40 }, (_, i) => (i * 29) % VOCAB);
const KINDS = ["token_embd", "blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v", "blk.0.attn_output"];
const FFN = ["blk.0.ffn_gate", "blk.0.ffn_up", "blk.0.ffn_down"];

/** Matrices are the fixture's usual blocks over and over, each from another block on; norms bring all types to one size. */
async function gguf(type: TensorType): Promise<Uint8Array> {
  const { blockElements, blockBytes, ggmlId } = FORMATS[type];
  const usual = (await quants.bytes(`${type}.bytes`)).subarray(0, 2048 / blockElements * blockBytes);
  const values = dequantise(type, usual), size = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  const matrix = (name: string, rows: number, shift: number): GgufTensor => {
    const blocks = rows * HIDDEN / blockElements, bytes = new Uint8Array(blocks * blockBytes);
    for (let b = 0; b < blocks; b++) {
      const from = (b * 5 + (b >> 3) + shift) % (usual.length / blockBytes) * blockBytes;
      bytes.set(usual.subarray(from, from + blockBytes), b * blockBytes);
    }
    return { name: `${name}.weight`, shape: [rows, HIDDEN], type: ggmlId, bytes };
  };
  const gain = (name: string): GgufTensor => {
    const gains = new Float32Array(HIDDEN).fill(0.05 / size);
    return { name: `${name}.weight`, shape: [HIDDEN], type: 0, bytes: new Uint8Array(gains.buffer) };
  };
  return ggufBytes({
    metadata: [
      ["general.architecture", text("llama")],
      ["llama.block_count", u32(1)],
      ["llama.context_length", u32(64)],
      ["llama.embedding_length", u32(HIDDEN)],
      ["llama.feed_forward_length", u32(HIDDEN)],
      ["llama.attention.head_count", u32(4)],
      ["llama.attention.head_count_kv", u32(4)],
      ["llama.attention.layer_norm_rms_epsilon", f32(1e-5)],
      ["tokenizer.ggml.tokens", texts(Array.from({ length: VOCAB }, (_, i) => `t${i}`))],
    ],
    tensors: [
      ...KINDS.map((name, i) => matrix(name, name === "token_embd" ? VOCAB : HIDDEN, i)),
      ...FFN.map((name, i) => matrix(name, HIDDEN, 11 + i)),
      ...["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"].map(gain),
    ],
  });
}

for (const type of (Object.keys(FORMATS) as TensorType[]).filter((type) => FORMATS[type].blockElements > 1)) {
  test(`a model in ${type}: logits of its blocks stay near those of its values`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "palimpsest-quantised-"));
    try {
      const path = join(folder, "model.gguf");
      await writeFile(path, await gguf(type));
      const logits = (weights: "f32" | "blocks") =>
        using(path, { weights }, async ({ engine }) => {
          const cache = new KvCache(cacheShape(engine.config), IDS.length);
          return (await forward(engine, cache, IDS, { size: 30, logitsRows: 20 })).logits;
        });
      const exact = await logits("f32"), blocks = await logits("blocks");
      const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
      const error = Math.sqrt(squares(blocks.map((value, i) => value - exact[i]!)) / squares(exact));
      assert.ok(squares(exact) > 0 && error > 0 && error < 0.05, `${error} of the logits`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
