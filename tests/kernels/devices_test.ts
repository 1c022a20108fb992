/** Every kernel in every case under the runtimes and drivers that a machine without a GPU can have: processes of `on_device.ts`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, triedGpus } from "../software_gpus.ts";

for (const { name, command, env, adapter, missing } of triedGpus) {
  test(`kernels and device on ${name}`, { skip: missing && !isRequired ? missing : false }, () => {
    if (missing && !isRequired) return console.log(`skipped: kernels on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(
      command[0]!,
      [...command.slice(1), "tests/kernels/on_device.ts", ...(name.startsWith("Bun") ? [] : ["as-it-is"])],
      { cwd: root, env, encoding: "utf8" },
    );
    assert.equal(error, undefined);
    assert.equal(stderr, "", "drivers' chatter belongs to nobody");
    const [opened, told] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(opened.kind, "software");
    assert.match(opened.adapter, adapter);
    assert.deepEqual(told.failures, []);
    assert.equal(status, 0);
    assert.ok(told.kernels >= 6 && told.cases >= 2 * told.kernels, stdout);
    assert.equal(told.halves > 0, opened.features.includes("shader-f16"), "rows of a cache in f16, where they can be");
    console.log(`${name}: ${told.kernels} kernels, ${told.cases} cases and ${told.halves} in f16 on ${opened.adapter}`);
  });
}
