import assert from "node:assert/strict";
import { test } from "node:test";
import { type BudgetInput, DEFAULT_BUDGET, defaultChunk, resolveBudget } from "../core/budget.ts";
import { bytesPerSlot, KvCache } from "../core/cache.ts";
import { type ModelConfig, PLAIN } from "../core/engine/weights.ts";
import { BudgetError, UsageError } from "../core/errors.ts";
import { parsePolicy } from "../core/policies.ts";
import { MIN_BUDGET } from "../core/policy.ts";

const CONFIG: ModelConfig = {
  architecture: "llama",
  name: "tiny",
  layers: 3,
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffn: 96,
  vocab: 512,
  trainedPositions: 8192,
  normEps: 1e-5,
  ropeTheta: 10000,
  rotaryDim: 16,
  ropeScaling: null,
  tied: false,
  ...PLAIN,
};
/** Bytes of one slot in all heads. */
const SLOT = bytesPerSlot(CONFIG) * 6;

const budget = (change: Partial<BudgetInput> = {}) =>
  resolveBudget({
    config: CONFIG,
    policy: parsePolicy("question"),
    request: null,
    chunkTokens: 512,
    reserve: 100,
    unboundedPositions: false,
    availableBytes: 1e12,
    ...change,
  });

const refused = (
  change: Partial<BudgetInput>,
  message: RegExp,
  type: typeof BudgetError | typeof UsageError = BudgetError,
) => assert.throws(() => budget(change), (error) => error instanceof type && message.test(error.message));

test("resolveBudget: slots are what survives; chunk and reserve come on top; bytes are what a cache of that capacity takes", () => {
  const { slots, capacity, bytes, clampedFrom } = budget({ request: { slots: 1000 } });
  assert.deepEqual({ slots, capacity, clampedFrom }, { slots: 1000, capacity: 1612, clampedFrom: null });
  assert.equal(bytes, new KvCache(CONFIG, capacity).bytes);
  assert.equal(budget().slots, DEFAULT_BUDGET);
});

test("resolveBudget: bytes bound everything allocated, to the byte", () => {
  for (const bytes of [SLOT * 1612, SLOT * 1612 + SLOT - 1]) {
    const found = budget({ request: { bytes } });
    assert.equal(found.slots, 1000);
    assert.ok(found.bytes <= bytes);
  }
  assert.equal(budget({ request: { bytes: SLOT * 1612 - 1 } }).slots, 999);
  const least = (MIN_BUDGET + 612) * SLOT;
  assert.equal(budget({ request: { bytes: least } }).slots, MIN_BUDGET);
  refused({ request: { bytes: least - 1 } }, new RegExp(`at least ${least} bytes`));
  refused({ request: { bytes: 0 } }, /0 bytes leaves 0 slots/);
});

test("resolveBudget: fewer slots than sinks, recent window and one to choose are refused", () => {
  assert.equal(budget({ request: { slots: MIN_BUDGET } }).slots, MIN_BUDGET);
  for (const slots of [MIN_BUDGET - 1, 1, 0, -5, NaN]) {
    refused({ request: { slots } }, new RegExp(`${slots} slots.*${MIN_BUDGET}`));
  }
});

test("resolveBudget: no more slots than the trained positions can stand, unless positions stay as they are", () => {
  const most = 8192 - 612;
  assert.deepEqual(budget({ request: { slots: most } }).clampedFrom, null);
  const clamped = budget({ request: { slots: most + 1 } });
  assert.deepEqual([clamped.slots, clamped.clampedFrom, clamped.capacity], [most, most + 1, 8192]);
  const unbounded = budget({ request: { slots: 20_000 }, unboundedPositions: true });
  assert.deepEqual([unbounded.slots, unbounded.clampedFrom], [20_000, null]);
  assert.equal(budget({ request: { bytes: SLOT * 20_000 } }).slots, most);
});

test("resolveBudget: full takes the whole document, or as much as the model can hold", () => {
  const policy = parsePolicy("full");
  assert.equal(budget({ policy, documentTokens: 3000 }).slots, 3000);
  assert.equal(budget({ policy, documentTokens: 10 }).slots, MIN_BUDGET);
  assert.equal(budget({ policy, documentTokens: 300_000 }).slots, 8192 - 612);
  assert.equal(budget({ policy }).slots, 8192 - 612);
  assert.equal(budget({ policy, documentTokens: 300_000, request: { slots: 700 } }).slots, 700);
});

test("resolveBudget: what the machine cannot hold is refused with the number that fits", () => {
  const availableBytes = SLOT * 1612;
  assert.equal(budget({ request: { slots: 1000 }, availableBytes }).bytes, availableBytes);
  refused({ request: { slots: 1001 }, availableBytes }, /at most 1000 slots/);
  refused({ request: { slots: 1001 }, availableBytes: 5 }, /at most 0 slots/);
});

test("resolveBudget: a chunk is a whole number from 1 on", () => {
  assert.equal(budget({ chunkTokens: 1 }).capacity, DEFAULT_BUDGET + 101);
  for (const chunkTokens of [0, -1, 1.5, NaN]) refused({ chunkTokens }, /--chunk/, UsageError);
});

test("defaultChunk: 512; on a GPU a quarter of the budget, at least 1,024 and at most an eighth of the trained positions or 4,096", () => {
  const on = (device: "cpu" | "wasm" | "webgpu", slots: number | null, trainedPositions = 40_960) =>
    defaultChunk(device, slots === null ? null : { slots }, { trainedPositions });
  assert.deepEqual([on("cpu", 8192), on("wasm", null)], [512, 512]);
  assert.deepEqual([null, 64, 1024, 8192, 9000, 1e6].map((slots) => on("webgpu", slots)), [
    1024,
    1024,
    1024,
    2048,
    2048,
    4096,
  ]);
  assert.deepEqual([8192, 6000, 2048].map((trained) => on("webgpu", 8192, trained)), [1024, 750, 512]);
  assert.equal(defaultChunk("webgpu", { bytes: 1e9 }, CONFIG), 1024);
});
