import assert from "node:assert/strict";
import { test } from "node:test";
import { type BlockMatrix, matrixFromFloats, toBlocks } from "../../core/engine/blocks.ts";
import { dequantise, FORMATS } from "../../core/engine/dequantise.ts";
import { readSafetensors } from "../../core/engine/safetensors.ts";
import type { TensorType, WeightTensor } from "../../core/engine/weights.ts";
import { files, fixture, randomNumbers } from "../host.ts";

const quants = await readSafetensors(await files.open(fixture("quants/quants.safetensors")));

/** What MatMulNBits sees, [rows, columns]; checks the contract's shapes on the way. */
function valuesOf(matrix: BlockMatrix): Float32Array {
  const { bits, blockSize, rows, columns, data, scales, zeroPoints } = matrix;
  const perRow = Math.ceil(columns / blockSize);
  assert.equal(data.length, rows * perRow * blockSize * bits / 8);
  assert.equal(scales.length, rows * perRow);
  if (zeroPoints) assert.ok(bits === 8 && zeroPoints.length === rows * perRow);
  const out = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < perRow * blockSize; column++) {
      const at = row * perRow * blockSize + column, block = Math.floor(at / blockSize);
      const q = bits === 8 ? data[at]! : (data[at >> 1]! >> (at & 1) * 4) & 15;
      const value = (q - (zeroPoints ? zeroPoints[block]! : bits === 8 ? 128 : 8)) * scales[block]!;
      if (column < columns) out[row * columns + column] = value;
      else assert.equal(value, 0, "padding");
    }
  }
  return out;
}

async function fixtureTensor(type: TensorType): Promise<WeightTensor> {
  return { name: "w", type, shape: [16, 256], bytes: await quants.bytes(`${type}.bytes`) };
}

// deno-fmt-ignore
const EXACT = [
  ["Q4_0", 4, 32], ["Q5_0", 8, 32], ["Q8_0", 8, 32], ["Q3_K", 4, 16], ["Q6_K", 8, 16], ["IQ1_S", 8, 32], ["IQ1_M", 8, 16], ["IQ2_XXS", 8, 32],
  ["IQ2_XS", 8, 16], ["IQ2_S", 8, 16], ["IQ3_XXS", 8, 32], ["IQ3_S", 8, 32], ["IQ4_NL", 8, 32], ["IQ4_XS", 8, 32], ["TQ1_0", 4, 256],
  ["TQ2_0", 4, 256], ["MXFP4", 8, 32], ["NVFP4", 8, 16],
] as const;
for (const [type, bits, blockSize] of EXACT) {
  test(`toBlocks ${type}: lossless in ${bits} bits, blocks of ${blockSize}, no zero points`, async () => {
    const tensor = await fixtureTensor(type);
    const matrix = toBlocks(tensor);
    assert.deepEqual([matrix.bits, matrix.blockSize, matrix.lossless, matrix.zeroPoints], [
      bits,
      blockSize,
      true,
      undefined,
    ]);
    const got = valuesOf(matrix), expected = dequantise(type, tensor.bytes);
    for (let i = 0; i < got.length; i++) assert.ok(got[i]! === expected[i]!, `${i}: ${got[i]} ${expected[i]}`);
  });
}

/** Values in a block of the formats that are requantised, in rows that are a multiple of it. */
const BLOCK = 64;

/** Per block: root of the mean square error, and the range of the values with 0. */
function blockErrors(got: Float32Array, expected: Float32Array): { rms: number; range: number }[] {
  return Array.from({ length: expected.length / BLOCK }, (_, block) => {
    let sum = 0, least = 0, most = 0;
    for (let i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
      sum += (got[i]! - expected[i]!) ** 2;
      least = Math.min(least, expected[i]!);
      most = Math.max(most, expected[i]!);
    }
    return { rms: Math.sqrt(sum / BLOCK), range: most - least };
  });
}

/** Symmetric max / 127 at zero point 128: what one would do without thinking. */
function symmetricError(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += BLOCK) {
    const block = values.subarray(i, i + BLOCK);
    const scale = block.reduce((most, v) => Math.max(most, Math.abs(v)), 0) / 127;
    if (scale > 0) { for (const v of block) sum += (v - Math.round(v / scale) * scale) ** 2; }
  }
  return sum;
}

const squares = (got: Float32Array, expected: Float32Array) =>
  got.reduce((sum, v, i) => sum + (v - expected[i]!) ** 2, 0);

for (const type of ["Q4_1", "Q5_1", "Q2_K", "Q4_K", "Q5_K", "F32", "F16", "BF16"] as const) {
  test(`toBlocks ${type}: a block errs less than half a 255th of its range, extreme scales too`, async () => {
    const tensor = await fixtureTensor(type);
    const expected = dequantise(type, tensor.bytes);
    const matrix = toBlocks(tensor);
    assert.deepEqual([matrix.bits, matrix.blockSize, matrix.lossless], [8, BLOCK, false]);
    for (const [block, { rms, range }] of blockErrors(valuesOf(matrix), expected).entries()) {
      assert.ok(rms <= range / 255 * 0.5, `block ${block}: ${rms} in ${range}`);
    }
  });

  test(`toBlocks ${type}: smaller error than symmetric quantisation on usual weights`, async () => {
    const bytes = (await quants.bytes(`${type}.bytes`)).subarray(
      0,
      2048 / FORMATS[type].blockElements * FORMATS[type].blockBytes,
    );
    const expected = dequantise(type, bytes);
    const error = squares(valuesOf(toBlocks({ name: "w", type, shape: [8, 256], bytes })), expected);
    const share = error / symmetricError(expected);
    assert.ok(share < 0.9, `${share}`);
  });
}

test("toBlocks Q4_1: a block without steps (d = 0), offsets far from 0", () => {
  const block = (d: number, m: number) => {
    const bytes = new Uint8Array(20).fill(0xf0, 4);
    new DataView(bytes.buffer).setUint16(0, d, true);
    new DataView(bytes.buffer).setUint16(2, m, true);
    return { name: "w", type: "Q4_1" as const, shape: [1, 32], bytes };
  };
  assert.ok(valuesOf(toBlocks(block(0, 0xc100))).every((v) => Math.abs(v + 2.5) < 1e-6));
  assert.ok(valuesOf(toBlocks(block(0, 0))).every((v) => v === 0));
  // d = 2^-10, m = 100: 256 levels cannot hold both the steps and the distance from 0
  const far = valuesOf(toBlocks(block(0x1400, 0x5640)));
  assert.ok(far.every((v) => Math.abs(v - 100) < 0.2));
});

test("matrixFromFloats: error at most half a scale, nothing clipped, 0 stays 0, any number of columns", () => {
  const random = randomNumbers(3);
  for (const [rows, columns] of [[1, 1], [3, 31], [2, 32], [5, 33], [4, 100], [7, 576]] as const) {
    for (const [factor, shift] of [[1, 0], [0.02, 0.01], [1e-30, 0], [1e37, 0], [3, 5], [3, -5], [1e-44, 0]] as const) {
      const values = Float32Array.from(
        { length: rows * columns },
        (_, i) => i % 7 === 3 ? 0 : (random() + random() + random() - 1.5) * factor + shift,
      );
      const matrix = matrixFromFloats(rows, columns, values, 8);
      const got = valuesOf(matrix), size = columns % 64 === 0 ? 64 : 32, perRow = Math.ceil(columns / size);
      assert.equal(matrix.blockSize, size);
      for (let i = 0; i < values.length; i++) {
        const scale = matrix.scales[Math.floor(i / columns) * perRow + Math.floor(i % columns / size)]!;
        assert.ok(
          Math.abs(got[i]! - values[i]!) <= scale * 0.50001 + 1e-34,
          `${i}: ${got[i]} for ${values[i]}, scale ${scale}`,
        );
        if (values[i] === 0) assert.equal(got[i], 0);
      }
    }
  }
});

test("toBlocks and matrixFromFloats refuse weights that are not finite, and shapes that do not fit", async () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = new Float32Array(64).fill(0.5);
    values[40] = bad;
    assert.throws(() => matrixFromFloats(2, 32, values, 8), { name: "ModelError" });
    const tensor = { name: "layers.3.x", type: "F32" as const, shape: [1, 64], bytes: new Uint8Array(values.buffer) };
    assert.throws(() => toBlocks(tensor), { name: "ModelError", message: /layers\.3\.x/ });
  }
  for (const type of ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"] as const) {
    const bytes = new Uint8Array(FORMATS[type].blockBytes).fill(0x7e);
    const tensor = { name: "w", type, shape: [1, FORMATS[type].blockElements], bytes };
    assert.throws(() => toBlocks(tensor), { name: "ModelError", message: /NaN/ }, type);
  }
  const tensor = await fixtureTensor("Q8_0");
  for (const shape of [[4096], [16, 255], [15, 256], [16, 16, 16]]) {
    assert.throws(() => toBlocks({ ...tensor, shape }), { name: "ModelError", message: /no matrix of shape/ });
  }
  assert.throws(() => matrixFromFloats(2, 3, new Float32Array(5), 8), { name: "ModelError" });
});
