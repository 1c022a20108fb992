import assert from "node:assert/strict";
import { test } from "node:test";
import { dequantise, FORMATS } from "../../core/engine/dequantise.ts";
import { codebook, type CodebookName } from "../../core/engine/dequantise/codebooks.ts";
import { HALF } from "../../core/engine/dequantise/half.ts";
import { readSafetensors } from "../../core/engine/safetensors.ts";
import type { TensorType } from "../../core/engine/weights.ts";
import { files, fixture } from "../host.ts";

const quants = await readSafetensors(await files.open(fixture("quants/quants.safetensors")));
const types = Object.keys(FORMATS) as TensorType[];
const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

for (const type of types) {
  test(`dequantise ${type}: bit-equal to gguf-py, extreme scales included`, async () => {
    const stored = await quants.bytes(`${type}.bytes`);
    const expected = (await quants.read(`${type}.values`)).data as Float32Array;
    assert.equal(expected.length, 4096);
    assert.deepEqual(bits(dequantise(type, stored)), bits(expected));
  });

  test(`dequantise ${type}: an unaligned part into the middle of an array`, async () => {
    const { blockElements, blockBytes } = FORMATS[type];
    const stored = await quants.bytes(`${type}.bytes`);
    const expected = (await quants.read(`${type}.values`)).data as Float32Array;
    const shifted = new Uint8Array(stored.length + 1);
    shifted.set(stored, 1);
    const out = new Float32Array(3 * blockElements).fill(7);
    dequantise(type, shifted.subarray(1 + blockBytes, 1 + 2 * blockBytes), out.subarray(blockElements));
    assert.deepEqual(
      bits(out.slice(blockElements, 2 * blockElements)),
      bits(expected.slice(blockElements, 2 * blockElements)),
    );
    assert.ok(
      out.subarray(0, blockElements).every((v) => v === 7) && out.subarray(2 * blockElements).every((v) => v === 7),
    );
  });
}

test("codebook: every value of every table is gguf-py's", async () => {
  const names = [...quants.arrays.keys()].filter((name) => name.endsWith(".codebook"));
  assert.equal(names.length, 6);
  for (const name of names) {
    const values = codebook(name.split(".")[0] as CodebookName);
    assert.deepEqual(new Uint8Array(values.buffer), await quants.bytes(name), name);
  }
});

test("dequantise knows every type that gguf-py dequantises", () => {
  const made = [...quants.arrays.keys()].filter((name) => name.endsWith(".values")).map((name) => name.split(".")[0]!);
  assert.equal(made.length, 26);
  assert.deepEqual(made.toSorted(), [...types].sort());
});

test("dequantise refuses parts of blocks and arrays that are too short", () => {
  for (const type of types) {
    const { blockElements, blockBytes } = FORMATS[type];
    assert.throws(() => dequantise(type, new Uint8Array(blockBytes * 2 - 1)), {
      name: "ModelError",
      message: new RegExp(type),
    });
    const short = new Float32Array(blockElements * 2 - 1);
    assert.throws(() => dequantise(type, new Uint8Array(blockBytes * 2), short), { name: "ModelError" });
    assert.equal(dequantise(type, new Uint8Array(0)).length, 0);
  }
});

test("HALF: known binary16 values", () => {
  const known: [bits: number, value: number][] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, NaN],
  ];
  for (const [pattern, value] of known) assert.ok(Object.is(HALF[pattern], value), pattern.toString(16));
});
