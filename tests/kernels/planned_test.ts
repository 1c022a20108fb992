/** `plan`'s figure for a GPU against what readings of ten chunks really took, ONNX Runtime's buffers included: a process of `planned.ts`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, softwareGpus } from "../software_gpus.ts";

/** Both kinds of cache, one probe with a pass of its own, arrays between many kernels, written slots that are evicted, and nothing evicted while reading. */
const POLICIES = ["snapkv", "question-quote", "streaming", "adakv-snapkv", "flow-snapkv", "expected", "h2o", "moment"];
/** In half precision and in int8, with most of what else differs. */
const NARROW = ["adakv-snapkv@f16", "adakv-snapkv@int8"];
/** Of the device's peak. */
const CLOSE = 0.03;

for (const { name, command, env, missing } of softwareGpus.filter(({ name }) => name === "Deno + lavapipe")) {
  test(`planned memory on ${name}`, { skip: missing && !isRequired ? missing : false, timeout: 3_600_000 }, () => {
    if (missing && !isRequired) return console.log(`skipped: planned memory on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(
      command[0]!,
      [...command.slice(1), "tests/kernels/planned.ts", ...POLICIES, ...NARROW],
      { cwd: root, env: { ...env, XDG_RUNTIME_DIR: "/tmp" }, encoding: "utf8" },
    );
    assert.equal(error, undefined);
    assert.equal(status, 0, stderr);
    const found = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(found.map(({ policy }) => policy), [...POLICIES, ...NARROW]);
    for (const { policy, kvType, planned, peak, kv, held, compactions } of found) {
      assert.equal(kvType, policy.split("@")[1] ?? "f32", policy);
      assert.ok(compactions >= 6, policy);
      assert.equal(planned.kv, kv.met, `${policy}: cache and arrays, to the byte`);
      assert.ok(
        Math.abs(kv.planned / kv.met - 1) <= 0.005,
        `${policy}: ${kv.planned} of ${kv.met} bytes for the budget`,
      );
      assert.ok(Math.abs(planned.peak / peak - 1) <= CLOSE, `${policy}: ${planned.peak} bytes planned, ${peak} met`);
      // compactions begin with the fourth chunk; the last one is shorter, and ONNX Runtime has other buffers for its rows
      assert.equal(
        new Set(held.slice(4, -1)).size,
        1,
        `${policy}: nothing is allocated from the fifth chunk on: ${held}`,
      );
    }
  });
}
