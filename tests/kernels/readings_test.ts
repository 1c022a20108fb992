/** Whole policies on the GPU against the CPU's under the runtimes and drivers that a machine without a GPU can have: processes of `readings.ts`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, softwareGpus } from "../software_gpus.ts";

/** Where, which policies, and of which golden model beside the Llama. */
interface Readings {
  on: string;
  model?: string;
  policies: string[];
}

/**
 * Over a cache in half precision, and by how much the scores of what first goes instead of others may differ: attention's logits are rounded to 11 bits.
 * Null where others than these scores decide: norms in a second stage, what was merged into what. After that it is another cache, of a random model.
 * Plain and wide slots, both positions, a second stage, rows that become others, repeated chunks that hide slots, written slots that are evicted.
 */
const HALF: [policy: string, mostGap: number | null][] = [
  ["critical-adakv-snapkv", null],
  ["centroids-snapkv", null],
  ["kvzip", 5e-3],
  ["probe=window,aggregate=mean,select=topk,decode=rkv", 5e-3],
];
const SAME_AT_FIRST = 0.99, SAME_IN_THE_END = 0.8;

for (const { name, command, env, missing } of softwareGpus.filter(({ name }) => name === "Deno + lavapipe")) {
  const skip = missing && !isRequired ? missing : false;
  test(`policies in half precision on ${name}`, { skip, timeout: 3_600_000 }, () => {
    if (skip) return console.log(`skipped: policies on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(
      command[0]!,
      [...command.slice(1), "tests/kernels/readings.ts", "f16", ...HALF.map(([policy]) => policy)],
      { cwd: root, env: { ...env, XDG_RUNTIME_DIR: "/tmp" }, encoding: "utf8" },
    );
    assert.equal(error, undefined);
    assert.equal(status, 0, stderr);
    const [, ...compared] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(compared.length, HALF.length);
    for (const { policy, positions, error, same, gap, kvType, compactions, readBack, ...more } of compared) {
      const what = `${policy}, ${positions} positions`, mostGap = HALF.find(([name]) => name === policy)![1];
      assert.equal(error, undefined, what);
      assert.equal(kvType, "f16", what);
      assert.ok(compactions >= 4 && readBack > 0 && readBack <= 4096, what);
      assert.equal(more.evictedWritten > 0, more.evictsWritten, `${what}: written slots`);
      assert.ok(same[0] >= SAME_AT_FIRST && Math.min(...same) >= SAME_IN_THE_END, `${what}: ${same} of the slots`);
      assert.ok(mostGap === null || gap === null || gap <= mostGap, `${what}: scores ${gap} apart`);
    }
    console.log(`${name}: ${compared.length} readings in half precision`);
  });
}

/** What layers that differ must not disturb: rotated keys, expected queries, a narrowed cache, what is written and forgotten, heads of unequal length. */
const BY_LAYER = [
  "probe=expected,aggregate=none,select=critical,allocate=ada",
  "kvzip",
  "lookahead",
  "coverage",
  "indexmem",
  "streaming-recency",
];

/** Every policy where it is quickest; elsewhere those that meet every way through the forms. */
const READINGS: Readings[] = [
  { on: "Deno + lavapipe", policies: [] },
  { on: "Deno + lavapipe", model: "gemma3_text", policies: BY_LAYER },
  { on: "Deno + lavapipe", model: "smollm3", policies: BY_LAYER.slice(0, 2) },
  { on: "Deno + lavapipe", model: "phi3_long", policies: BY_LAYER.slice(0, 2) },
  {
    on: "Bun + SwiftShader",
    policies: [
      "question-quote",
      "critical-adakv-snapkv",
      "flow-snapkv",
      "kvzip",
      "lookahead",
      "judgeq",
      "coverage",
    ],
  },
];

for (const { on: name, model, policies } of READINGS) {
  const { command, env, missing } = softwareGpus.find((gpu) => gpu.name === name)!;
  test(`policies${model ? ` of ${model}` : ""} on ${name}`, {
    skip: missing && !isRequired ? missing : false,
    timeout: 3_600_000,
  }, () => {
    if (missing && !isRequired) return console.log(`skipped: policies on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(
      command[0]!,
      [
        ...command.slice(1),
        "tests/kernels/readings.ts",
        ...policies,
        ...(model ? [`model=${model}`] : []),
      ],
      { cwd: root, env: { ...env, XDG_RUNTIME_DIR: "/tmp" }, encoding: "utf8" },
    );
    assert.equal(error, undefined);
    assert.equal(status, 0, stderr);
    const [, ...lines] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const compared = lines.filter((line) => !line.unsupported);
    assert.ok(compared.length >= (policies.length || 20), `only ${compared.length} policies were compared`);
    for (const { policy, positions, error, same, kept, tokens, compactions, readBack, ...more } of compared) {
      const what = `${policy}, ${positions} positions`;
      assert.equal(error, undefined, what);
      assert.ok(compactions >= 4 && kept > 0, what);
      assert.equal(more.evictedWritten > 0, more.evictsWritten, `${what}: written slots`);
      assert.equal(more.noted > 0, more.takesNotes, `${what}: notes`);
      for (const share of same) {
        assert.ok(share >= 0.99, `${what}: ${(100 * share).toFixed(2)} % of the slots are the same`);
      }
      assert.ok(tokens, `${what}: the same tokens follow`);
      assert.ok(readBack > 0 && readBack <= 4096, `${what}: ${readBack} bytes came back after a chunk`);
      assert.equal(more.readBackToken, 4, `${what}: a written token's id comes back, and nothing else`);
    }
    const without = lines.filter((line) => line.unsupported).map((line) => `${line.policy} (${line.unsupported})`);
    console.log(`${name}: ${compared.length} readings as on the CPU; no form yet: ${without.join(", ") || "none"}`);
  });
}
