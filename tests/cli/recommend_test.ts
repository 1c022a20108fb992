/** `models recommend`: which model for which memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryNeeded, recommended } from "../../cli/recommended.ts";
import { parseHubName } from "../../cli/sources/hub/name.ts";
import { findRegistered } from "../../cli/registry.ts";
import { palimpsest, withFolder } from "./helpers.ts";

test("recommended: each larger than the one before, and a name that pull takes", () => {
  const needs = recommended.map((model) => memoryNeeded(model).neededBytes);
  assert.deepEqual(needs, needs.toSorted((a, b) => a - b));
  for (const { pull, parameters, downloadBytes } of recommended) {
    assert.ok(findRegistered(pull) ?? parseHubName(pull), pull);
    const bits = 8 * downloadBytes / parameters;
    assert.ok(bits > 4.5 && bits < 9, `${pull} has ${bits} bits per weight`);
  }
});

test("models recommend: the largest that fits three quarters of the memory, with the command; the smallest where none does", () =>
  withFolder(async (cache) => {
    const run = async (...flags: string[]) =>
      (await palimpsest(["models", "recommend", ...flags], { env: { PALIMPSEST_CACHE: cache } })).stdout;
    const told = JSON.parse(await run("--memory", "8GiB", "--json"));
    assert.deepEqual([told.schema, told.command, told.memoryBytes], [
      "palimpsest.models/1",
      "models recommend",
      8 * 2 ** 30,
    ]);
    const fitting = told.models.filter((one: { fits: boolean }) => one.fits);
    assert.deepEqual([told.recommended.name, told.recommended.name], [fitting.at(-1).name, "Qwen3 1.7B"]);
    assert.equal(told.recommended.command, "palimpsest pull hf:Qwen/Qwen3-1.7B-GGUF:Q8_0");
    assert.ok(fitting.length < told.models.length && fitting.at(-1).neededBytes <= told.usableBytes);
    const none = JSON.parse(await run("--memory", "256MiB", "--json"));
    assert.deepEqual([none.recommended.pull, none.recommended.fits], ["smollm2-135m", false]);
    // this machine's own memory
    assert.ok(JSON.parse(await run("--json")).memoryBytes > 2 ** 28);
    assert.match(
      await run("--memory", "64GiB"),
      /^model +Qwen3 14B, .*\nwhy +the largest of 6 that fits 48\.0 GiB, three quarters of 64\.0 GiB\n/,
    );
  }));
