/** Whole policies on the GPU against the CPU's under the runtimes and drivers that a machine without a GPU can have: processes of `readings.ts`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, softwareGpus } from "../software_gpus.ts";
import type { Line } from "./readings.ts";

/** Where, of which golden model beside the Llama, and which policies; `words` as `readings.ts` takes them. */
interface Readings {
  on: string;
  model?: string;
  policies: string[];
  words?: string[];
}

/** Tests what a process of `readings.ts` prints of every policy that has a form on a GPU. */
function testReadings({ on, model, policies, words = [] }: Readings, check: (lines: Line[]) => void): void {
  const { command, env, missing } = softwareGpus.find(({ name }) => name === on)!;
  const skip = missing && !isRequired ? missing : false;
  const what = `policies${model ? ` of ${model}` : ""}${words.map((word) => `, ${word}`).join("")} on ${on}`;
  test(what, { skip, timeout: 3_600_000 }, () => {
    if (skip) return console.log(`skipped: ${what}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${on} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(
      command[0]!,
      [...command.slice(1), "tests/kernels/readings.ts", ...words, ...policies, ...(model ? [`model=${model}`] : [])],
      { cwd: root, env: { ...env, XDG_RUNTIME_DIR: "/tmp" }, encoding: "utf8" },
    );
    assert.equal(error, undefined);
    assert.equal(status, 0, stderr);
    const [, ...lines]: Line[] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const compared = lines.filter((line) => !line.unsupported);
    check(compared);
    const without = lines.filter((line) => line.unsupported).map((line) => `${line.policy} (${line.unsupported})`);
    console.log(`${what}: ${compared.length} readings; no form yet: ${without.join(", ") || "none"}`);
  });
}

/**
 * Over a cache in half precision, and by how much the scores of what first goes instead of others may differ: attention's logits are rounded to 11 bits.
 * Null where others than these scores decide: norms in a second stage, what was merged into what. After that it is another cache, of a random model.
 * Plain and wide slots, both positions, a second stage, rows that become others, repeated chunks that hide slots, written slots that are evicted.
 */
const HALF: Record<string, number | null> = {
  "critical-adakv-snapkv": null,
  "centroids-snapkv": null,
  "kvzip": 5e-3,
  "probe=window,aggregate=mean,select=topk,decode=rkv": 5e-3,
};
const SAME_AT_FIRST = 0.99, SAME_IN_THE_END = 0.8;

/** Sliding rows have no form of their own for a type: what hides them copies them by their bytes. */
const HALF_READINGS: Readings[] = [
  { on: "Deno + lavapipe", words: ["f16"], policies: Object.keys(HALF) },
  { on: "Deno + lavapipe", words: ["f16"], model: "gemma3_text", policies: ["kvzip"] },
];

for (const readings of HALF_READINGS) {
  testReadings(readings, (compared) => {
    assert.equal(compared.length, readings.policies.length);
    for (const { policy, positions, error, same, gap, kvType, compactions, readBack, ...more } of compared) {
      const what = `${policy}, ${positions} positions`, mostGap = HALF[policy]!;
      assert.equal(error, undefined, what);
      assert.equal(kvType, "f16", what);
      assert.ok(compactions >= 4 && readBack > 0 && readBack <= 4096, what);
      assert.equal(more.evictedWritten > 0, more.evictsWritten, `${what}: written slots`);
      assert.ok(same[0]! >= SAME_AT_FIRST && Math.min(...same) >= SAME_IN_THE_END, `${what}: ${same} of the slots`);
      assert.ok(mostGap === null || gap === null || gap <= mostGap, `${what}: scores ${gap} apart`);
    }
  });
}

/**
 * Over a cache in int8 against the CPU's: both round the same numbers alike, so where nothing but attention decides under original positions the same slots stay
 * and logits are as close as this says; turned keys are rounded by another chance. Plain and wide slots, rows that are read for a memory, heads of unequal
 * length, a second stage, rows that become others; what hides slots for the while is checked with `int8_rows.ts`.
 */
const INT8: Record<string, number | null> = {
  "indexmem": 0.02,
  "question-quote": null,
  "critical-adakv-snapkv": null,
  "centroids-snapkv": null,
};

testReadings({ on: "Deno + lavapipe", words: ["int8"], policies: Object.keys(INT8) }, (compared) => {
  assert.equal(compared.length, Object.keys(INT8).length);
  for (const { policy, positions, error, same, kvType, compactions, readBack, logits, ...more } of compared) {
    const what = `${policy}, ${positions} positions`, mostApart = INT8[policy]!, isClose = mostApart !== null;
    assert.equal(error, undefined, what);
    assert.equal(kvType, "int8", what);
    if (isClose) assert.equal(positions, "original", what);
    assert.ok(compactions >= 4 && readBack > 0 && readBack <= 4096 && more.readBackToken === 4, what);
    assert.ok(
      same[0]! >= SAME_AT_FIRST && Math.min(...same) >= (isClose ? SAME_AT_FIRST : SAME_IN_THE_END),
      `${what}: ${same} of the slots`,
    );
    assert.ok(mostApart === null || more.tokens && logits <= mostApart, `${what}: logits ${logits} apart`);
  }
});

/** Rotated keys, expected queries, heads of unequal length: what a layer's positions decide. */
const BY_POSITIONS = ["probe=expected,aggregate=none,select=critical,allocate=ada"];

/** Every policy where it is quickest; elsewhere those that meet every way through the forms, and of other models what their layers must not disturb. */
const READINGS: Readings[] = [
  { on: "Deno + lavapipe", policies: [] },
  // a narrowed cache, what is written and forgotten, written slots that are evicted
  {
    on: "Deno + lavapipe",
    model: "gemma3_text",
    policies: [...BY_POSITIONS, "lookahead", "coverage", "indexmem", "streaming-recency"],
  },
  { on: "Deno + lavapipe", model: "smollm3", words: ["both-positions"], policies: BY_POSITIONS },
  { on: "Deno + lavapipe", model: "phi3_long", words: ["both-positions"], policies: BY_POSITIONS },
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

for (const readings of READINGS) {
  const times = readings.words?.includes("both-positions") ? 2 : 1;
  testReadings(readings, (compared) => {
    const least = times * readings.policies.length || 20;
    assert.ok(compared.length >= least, `only ${compared.length} readings were compared`);
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
  });
}
