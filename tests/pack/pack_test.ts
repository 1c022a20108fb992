import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { openGguf } from "../../core/engine/gguf.ts";
import { ModelError } from "../../core/errors.ts";
import { fingerprint } from "../../core/pack/fingerprint.ts";
import { PACK_METHODS, type PackMethod } from "../../core/pack/method.ts";
import { openPacks, type PackFiles, readPack } from "../../core/pack/packs.ts";
import { safetensorsBytes, type StoredTensor, withHeader } from "../engine/safetensors_bytes.ts";
import { files, fixture, memoryFile } from "../host.ts";
import { floatTensor, packMetadata, packTensors, randomTensor, SOFT_OFFSET, SOFT_ROWS } from "../packs.ts";

const model = await openGguf(await files.open(fixture("gguf/llama.f32.gguf")));
const own = await fingerprint(model), { hidden } = model.config;

const judgeq = packTensors.judgeq(model.config);
const bytesOf = (
  method: PackMethod,
  metadata: Record<string, string> = {},
  tensors = packTensors[method](model.config),
) => safetensorsBytes(tensors, packMetadata(method, { fingerprint: own, ...metadata }));
const read = (bytes: Uint8Array) => readPack("judgeq", memoryFile(bytes, "some.safetensors"), model);
const finder = (...contents: Uint8Array[]): { opened: ReturnType<typeof memoryFile>[]; files: PackFiles } => {
  const opened = contents.map((bytes, i) => memoryFile(bytes, `pack${i}.safetensors`));
  return { opened, files: () => Promise.resolve(opened) };
};

test("readPack: the arrays, the parameters and what the header says", async () => {
  const pack = await read(bytesOf("judgeq"));
  assert.deepEqual([pack.count, pack.tokens.length, pack.offset], [SOFT_ROWS, SOFT_ROWS * hidden, SOFT_OFFSET]);
  const { path, fingerprint, validation, model, seed, data } = pack.header;
  assert.deepEqual([path, fingerprint, model, seed, data], ["some.safetensors", own, "golden llama", "1", "chance"]);
  assert.deepEqual(validation, { "hit 12.5 %": 71.5, kl: 0.5 });
  assert.equal(pack.header.sha256, createHash("sha256").update(bytesOf("judgeq")).digest("hex"));
  // F16 is as exact as it is
  const whole = await read(bytesOf("judgeq", {}, { tokens: floatTensor([SOFT_ROWS, hidden], pack.tokens) }));
  assert.deepEqual(whole.tokens, pack.tokens);
});

test("readPack: whatever is wrong with a pack is a ModelError that says what it is and what would work", async () => {
  const refused = async (message: RegExp, bytes: Uint8Array) => {
    await assert.rejects(read(bytes), (error: unknown) => {
      assert.ok(error instanceof ModelError && error.code === 5, String(error));
      assert.match(error.message, message);
      assert.match(error.message, /some\.safetensors/);
      assert.match(error.message, /python -m training\.judgeq MODEL\.gguf|fetch it again/);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(error.message, /[\x00-\x1f]/);
      return true;
    });
  };
  const tokens = judgeq["tokens"]!, header = (more: Record<string, string>) => bytesOf("judgeq", more);
  const arrays = (tensors: Record<string, StoredTensor>) => bytesOf("judgeq", {}, tensors);
  await refused(/method is missing/, safetensorsBytes(judgeq));
  await refused(/method is "other", where judgeq/, header({ method: "other" }));
  await refused(/method is "a .{0,10}b"/, header({ method: "a\x1b[31m\nb" }));
  await refused(/version is "2", where "1" works/, header({ version: "2" }));
  await refused(/fingerprint is "abc"/, header({ fingerprint: "abc" }));
  await refused(/parameter offset is -1/, header({ parameters: '{"offset":-1}' }));
  await refused(/parameter offset is 1\.5/, header({ parameters: '{"offset":1.5}' }));
  await refused(/parameter offset is 1000000000/, header({ parameters: '{"offset":1e9}' }));
  await refused(/no array tokens/, arrays({ token: tokens }));
  await refused(
    /tokens has shape \[12, 63\], where \[k ≤ 64, 128\] works/,
    arrays({ tokens: randomTensor([12, 63], 1) }),
  );
  await refused(/tokens has shape \[0, 128\]/, arrays({ tokens: randomTensor([0, hidden], 1) }));
  await refused(/tokens has shape \[65, 128\]/, arrays({ tokens: randomTensor([65, hidden], 1) }));
  await refused(/tokens has shape \[128\]/, arrays({ tokens: randomTensor([hidden], 1) }));
  await refused(/tokens is I32/, arrays({ tokens: { ...randomTensor([2, hidden], 1), dtype: "I32" } }));
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = new Float32Array(2 * hidden);
    values[70] = bad;
    await refused(new RegExp(`tokens holds ${bad} at 70`), arrays({ tokens: floatTensor([2, hidden], values) }));
  }
  const good = bytesOf("judgeq");
  for (const length of [0, 7, 8, 100, good.length - 1]) await refused(/./, good.slice(0, length));
  await refused(/JSON/, withHeader("[]"));
  const lying = JSON.stringify({
    __metadata__: packMetadata("judgeq"),
    tokens: { dtype: "F16", shape: [1e9, hidden], data_offsets: [0, 8] },
  });
  await refused(/take/, withHeader(lying, [new Uint8Array(8)]));
});

test("readPack: what is said of a pack is harmless: numbers by plain names, text without control characters", async () => {
  const { header } = await read(bytesOf("judgeq", {
    model: "a\x1b[31mb\nc",
    validation: '{"kl":1,"\\u001b[31m":2,"text":"x","nested":{"a":1},"hit 12.5 %":7}',
  }));
  assert.equal(header.model, "a [31mb c");
  assert.deepEqual(header.validation, { kl: 1, "hit 12.5 %": 7 });
  for (const validation of ["no JSON", "[1]", "null", ""]) {
    assert.deepEqual((await read(bytesOf("judgeq", { validation }))).header.validation, {});
  }
});

test("openPacks: the first pack of the model is taken, others and damaged files are passed by, and all are closed", async () => {
  const foreign = bytesOf("judgeq", { fingerprint: "00".repeat(32), model: "another" });
  const mine = bytesOf("judgeq", { seed: "7" }), second = bytesOf("judgeq", { seed: "8" });
  const { opened, files } = finder(foreign, new Uint8Array(20), mine, second);
  const { judgeq } = await openPacks(["judgeq"], files, model);
  assert.equal(judgeq!.header.seed, "7");
  assert.ok(opened.every(({ closed }) => closed));
  assert.deepEqual(await openPacks([], () => Promise.reject(new Error("asked for nothing")), model), {});
});

test("openPacks: without a pack for the model, the command that would train one", async () => {
  const refused = (files: PackFiles, message: RegExp) =>
    assert.rejects(openPacks(["judgeq"], files, model), (error: unknown) => {
      assert.ok(error instanceof ModelError && error.code === 5);
      assert.match(error.message, message);
      return true;
    });
  const command = /python -m training\.judgeq \S*llama\.f32\.gguf/;
  await refused(finder().files, command);
  const foreign = finder(bytesOf("judgeq", { fingerprint: "00".repeat(32), model: "another" }));
  await refused(foreign.files, /those here are for another; train one with: python -m training\.judgeq/);
  assert.ok(foreign.opened.every(({ closed }) => closed));
  const damaged = finder(new Uint8Array(20));
  await refused(damaged.files, /pack0\.safetensors/);
  assert.ok(damaged.opened.every(({ closed }) => closed));
  const unusable = finder(bytesOf("judgeq", {}, { tokens: randomTensor([3, 5], 1) }));
  await refused(unusable.files, /tokens has shape \[3, 5\]/);
  assert.ok(unusable.opened.every(({ closed }) => closed));
});

test("a pack of another method is refused under this one's name", async () => {
  for (const method of PACK_METHODS) {
    if (method === "judgeq") continue;
    await assert.rejects(read(bytesOf(method)), /holds \w+, where judgeq is asked for/);
  }
});
