import assert from "node:assert/strict";
import { test } from "node:test";
import type { RopeScaling } from "../core/engine/weights.ts";
import { Rope } from "../core/rope.ts";
import { randomNumbers } from "./host.ts";
import { difference } from "./tiny_llama.ts";

const HEAD_DIM = 8;
const rope = (ropeScaling: RopeScaling | null = null, ropeTheta = 10000) =>
  new Rope({ headDim: HEAD_DIM, ropeTheta, ropeScaling });

/** Half-split rotation in float64. */
function rotated(key: ArrayLike<number>, frequencies: ArrayLike<number>, position: number): number[] {
  const half = frequencies.length, out = Array.from(key);
  for (let i = 0; i < half; i++) {
    const cos = Math.cos(position * frequencies[i]!), sin = Math.sin(position * frequencies[i]!);
    out[i] = key[i]! * cos - key[half + i]! * sin;
    out[half + i] = key[half + i]! * cos + key[i]! * sin;
  }
  return out;
}

function randomKey(seed: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: HEAD_DIM }, () => 4 * random() - 2);
}

test("Rope: frequencies of the plain form and of all scalings", () => {
  const plain = Array.from({ length: 4 }, (_, i) => 10000 ** (-2 * i / HEAD_DIM));
  assert.ok(difference(rope().frequencies, plain) < 1e-15);
  assert.ok(difference(rope({ kind: "linear", factor: 4 }).frequencies, plain.map((f) => f / 4)) < 1e-15);
  const factors = Float32Array.of(1, 2, 4, 8);
  assert.ok(difference(rope({ kind: "factors", factors }).frequencies, plain.map((f, i) => f / factors[i]!)) < 1e-15);

  // wavelengths 6.3, 62.8, 628 and 6283: kept, kept, between, divided
  const llama3 = rope({ kind: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalPositions: 1024 });
  const smooth = (1024 / (2 * Math.PI / plain[2]!) - 1) / 3;
  const between = (1 - smooth) * plain[2]! / 8 + smooth * plain[2]!;
  assert.ok(difference(llama3.frequencies, [plain[0]!, plain[1]!, between, plain[3]! / 8]) < 1e-15);
});

test("Rope.rows: cos and sin of successive positions, far ones exactly", () => {
  const { frequencies } = rope();
  for (const first of [0, 5, 1_000_000]) {
    const { cos, sin } = rope().rows(first, 3);
    for (let row = 0; row < 3; row++) {
      for (let i = 0; i < 4; i++) {
        const angle = (first + row) * frequencies[i]!;
        assert.equal(cos[row * 4 + i], Math.fround(Math.cos(angle)));
        assert.equal(sin[row * 4 + i], Math.fround(Math.sin(angle)));
      }
    }
  }
});

test("Rope.shift: moves a rotated key to any other position, in place or elsewhere", () => {
  const r = rope(), key = randomKey(1);
  for (const [from, to] of [[0, 7], [100, 3], [8000, 7999], [12, 12], [250_000, 900]] as const) {
    const keys = new Float32Array(3 * HEAD_DIM);
    keys.set(rotated(key, r.frequencies, from), HEAD_DIM);
    const before = keys.slice();
    r.shift(keys, HEAD_DIM, 2 * HEAD_DIM, to - from);
    assert.ok(difference(keys.subarray(2 * HEAD_DIM), rotated(key, r.frequencies, to)) < 2e-6);
    assert.deepEqual(keys.subarray(0, 2 * HEAD_DIM), before.subarray(0, 2 * HEAD_DIM), "other rows stay");
    r.shift(keys, HEAD_DIM, HEAD_DIM, to - from);
    assert.deepEqual(keys.subarray(HEAD_DIM, 2 * HEAD_DIM), keys.subarray(2 * HEAD_DIM));
  }
});

test("Rope.shift: distances in any order do not mix", () => {
  const r = rope(), random = randomNumbers(4), key = randomKey(2);
  for (let i = 0; i < 40_000; i++) { // more different distances than are remembered
    const delta = Math.floor(40_000 * random()) - 20_000, row = key.slice();
    r.shift(row, 0, 0, delta);
    if (i % 100 === 0) assert.ok(difference(row, rotated(key, r.frequencies, delta)) < 2e-6, `${delta}`);
  }
});

test("Rope.shift: 500 successive re-rotations equal one within 1e-3", () => {
  const r = new Rope({ headDim: 64, ropeTheta: 10000, ropeScaling: null }), random = randomNumbers(5);
  const start = Float32Array.from({ length: 64 }, () => 20 * random() - 10); // large keys are real
  const row = start.slice();
  let total = 0;
  for (let i = 0; i < 500; i++) {
    const delta = -Math.floor(600 * random());
    total += delta;
    r.shift(row, 0, 0, delta);
  }
  assert.ok(difference(row, rotated(start, r.frequencies, total)) < 1e-3);
});
