import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ModelError } from "../../core/errors.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import { fixture, memoryFile, randomNumbers } from "../host.ts";
import { f32, ggufBytes, type GgufFile, type GgufValue, text, texts, tinyLlama, u32 } from "./gguf_bytes.ts";

const bytes = new Uint8Array(readFileSync(fixture("gguf/llama3rope.q8_0.gguf")));

/** Opens and reads everything. @returns whether it could; anything but a ModelError is thrown on. */
async function survives(damaged: Uint8Array): Promise<boolean> {
  const file = memoryFile(damaged);
  try {
    const model = await openGguf(file);
    for (const name of model.tensors.keys()) await model.tensor(name);
    await model.close();
    return true;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    assert.ok(error.message.length < 500, error.message);
    assert.ok(file.closed, "the file of a refused model is closed");
    return false;
  }
}

test("openGguf: a file cut anywhere is refused with a ModelError", async () => {
  let length = 0;
  const random = randomNumbers(1);
  while (length < bytes.length) {
    assert.equal(await survives(bytes.subarray(0, length)), false, `cut at ${length}`);
    length += 1 + Math.floor(random() * (length < 20_000 ? 60 : 9000));
  }
  assert.equal(await survives(bytes.subarray(0, bytes.length)), true);
});

test("openGguf: flipped bytes in the header come out as a model or a ModelError, never as anything else", async () => {
  const random = randomNumbers(2);
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    const damaged = bytes.slice();
    const count = 1 + Math.floor(random() * 3);
    for (let i = 0; i < count; i++) damaged[Math.floor(random() * 15_000)] = Math.floor(random() * 256);
    if (!await survives(damaged)) refused++;
  }
  assert.ok(refused > 100, `only ${refused} refused`);
});

test("openGguf: 0xFF over any eight bytes (counts, lengths, offsets) is survived", async () => {
  for (let at = 0; at < 14_000; at += 7) {
    const damaged = bytes.slice();
    damaged.fill(255, at, at + 8);
    await survives(damaged);
  }
});

/** The tiny model with some metadata changed (null: removed). */
function changed(changes: Record<string, GgufValue | null>, more: Partial<GgufFile> = {}): GgufFile {
  const { metadata, tensors } = tinyLlama();
  const kept = metadata.filter(([key]) => !(key in changes));
  for (const [key, value] of Object.entries(changes)) if (value) kept.push([key, value]);
  return { metadata: kept, tensors, ...more };
}

function withTensor(
  index: number,
  change: Partial<GgufFile["tensors"] extends (infer T)[] | undefined ? T : never>,
): GgufFile {
  const file = changed({});
  file.tensors![index] = { ...file.tensors![index]!, ...change };
  return file;
}

const extra = { name: "blk.0.attn_q.bias", shape: [4], type: 0, bytes: new Uint8Array(16) };
const factors = (values: number[], shape = [values.length]) => {
  const file = changed({});
  const stored = new Uint8Array(Float32Array.from(values).buffer);
  file.tensors!.push({ name: "rope_freqs.weight", shape, type: 0, bytes: stored });
  return file;
};

const REFUSED: [what: string, file: GgufFile | Uint8Array, message: RegExp][] = [
  ["no file", new Uint8Array(0), /truncated/],
  ["a ZIP", Uint8Array.from({ length: 64 }, (_, i) => [0x50, 0x4b, 3, 4][i] ?? 0), /does not begin with "GGUF"/],
  ["version 1", { version: 1 }, /version is 1; versions 2 and 3 work/],
  ["big-endian", { version: 0x03000000 }, /big-endian/],
  ["2^52 tensors", changed({}, { tensorCount: 2 ** 52 }), /claims 4503599627370496 tensors/],
  ["2^40 metadata entries", changed({}, { metadataCount: 2 ** 40 }), /claims 1099511627776 metadata entries/],
  ["an array of 2^50", changed({ "a.b": { type: 9, element: 0, value: [], count: 2 ** 50 } }), /array "a\.b" claims/],
  ["an unknown value type", changed({ "a.b": { type: 13, value: 0 } }), /value type 13/],
  ["an unknown element type", changed({ "a.b": { type: 9, element: 77, value: [] } }), /element type 77/],
  ["deep nesting", changed({ "a.b": nested(9) }), /nested more than 4 deep/],
  ["architecture bert", changed({ "general.architecture": text("bert") }), /"bert"; llama, .*qwen3.* works/],
  ["no architecture", changed({ "general.architecture": null }), /missing; llama, .*qwen3.* works/],
  ["one of 3 parts", changed({ "split.count": { type: 2, value: 3 } }), /one of 3 parts/],
  ["no layers", changed({ "llama.block_count": u32(0) }), /llama\.block_count is 0/],
  ["2^31 layers", changed({ "llama.block_count": u32(2 ** 31 - 1) }), /no tensor layers\.1\.input_layernorm/],
  ["layers as text", changed({ "llama.block_count": text("x".repeat(999)) }), /llama\.block_count is "x{80}…"/],
  ["no context length", changed({ "llama.context_length": null }), /context_length is missing/],
  ["2^30 positions", changed({ "llama.context_length": u32(2 ** 30) }), /1073741824 trained positions/],
  ["NaN epsilon", changed({ "llama.attention.layer_norm_rms_epsilon": f32(NaN) }), /epsilon is null|epsilon is NaN/],
  ["3 heads of hidden 4", changed({ "llama.attention.head_count": u32(3) }), /./],
  ["an odd head", changed({ "llama.attention.key_length": u32(1) }), /head dimension is 1/],
  [
    "stretched positions without their factors",
    changed({ "llama.rope.scaling.type": text("longrope") }),
    /its positions are stretched, and it lacks rope_factors_short/,
  ],
  [
    "partial rotary",
    changed({ "llama.rope.dimension_count": u32(1) }),
    /rope\.dimension_count is 1; an even number up to 2 works/,
  ],
  [
    "a head of 2^31 numbers, for which a list would be made",
    changed({ "llama.attention.key_length": u32(2 ** 31 - 2), "llama.rope.dimension_count": u32(2 ** 31 - 2) }),
    /q_proj has shape \[4, 4\], where its configuration asks for \[4294967292, 4\]/,
  ],
  [
    "an alignment that is a list",
    changed({ "general.alignment": texts(Array(300).fill("x".repeat(9))) }),
    /general\.alignment is \["x{9}","x.{60,70}…; a power of two/,
  ],
  ["experts", changed({ "llama.expert_count": u32(8) }), /expert_count is 8/],
  ["yarn", changed({ "llama.rope.scaling.type": text("yarn") }), /"yarn"; "none" and "linear" work/],
  ["more tokens than rows", changed({ "tokenizer.ggml.tokens": texts(Array(9).fill("t")) }), /only 5 rows/],
  ["alignment 3", changed({ "general.alignment": u32(3) }), /general\.alignment is 3/],
  ["Q8_K", withTensor(0, { type: 15 }), /type Q8_K; F32, F16/],
  ["type 999", withTensor(0, { type: 999 }), /type 999; F32/],
  ["Q8_0 of 4 columns", withTensor(0, { type: 8 }), /multiple of 32/],
  ["a zero dimension", withTensor(0, { shape: [0, 4] }), /shape \[0, 4\]/],
  ["overflowing dimensions", withTensor(0, { shape: [2 ** 40, 2 ** 40] }), /shape/],
  ["5 dimensions", withTensor(0, { shape: [1, 1, 1, 5, 4] }), /5 dimensions/],
  ["a tensor beyond the end", withTensor(0, { offset: 2 ** 40 }), /truncated or damaged/],
  ["an odd offset", withTensor(0, { offset: 3 }), /offset 3, not a multiple of 32/],
  ["a wrong shape", withTensor(3, { shape: [2, 8] }), /q_proj has shape \[2, 8\].*\[4, 4\]/],
  [
    "a missing tensor",
    { ...changed({}), tensors: tinyLlama().tensors.slice(0, -1) },
    /no tensor layers\.0\.mlp\.down_proj/,
  ],
  ["a bias", { ...changed({}), tensors: [...tinyLlama().tensors, extra] }, /layers\.0\.self_attn\.q_proj\.bias/],
  ["a tensor twice", { ...changed({}), tensors: [...tinyLlama().tensors, tinyLlama().tensors[0]!] }, /twice/],
  ["factors of zero", factors([0]), /rope_freqs\.weight holds 0/],
  ["too many factors", factors([1, 1]), /F32 \[1\] works/],
];

function nested(depth: number): GgufValue {
  return { type: 9, element: depth === 0 ? 0 : 9, value: depth === 0 ? [] : [nested(depth - 1)] };
}

for (const [what, file, message] of REFUSED) {
  test(`openGguf refuses ${what}`, async () => {
    const stored = file instanceof Uint8Array ? file : ggufBytes(file);
    await assert.rejects(openGguf(memoryFile(stored)), { name: "ModelError", message });
  });
}

test("openGguf: a small file that claims a long string allocates nothing for it", async () => {
  const stored = ggufBytes(changed({}));
  new DataView(stored.buffer).setBigUint64(24, 2n ** 60n, true);
  const file = memoryFile(stored);
  await assert.rejects(openGguf(file), {
    name: "ModelError",
    message: /claims 11529215\d+ bytes, where at most 1632 can be/,
  });
  assert.ok(file.bytesRead <= stored.length);
});
