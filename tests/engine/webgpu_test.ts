/** The engine on WebGPU under the runtimes and drivers that a machine without a GPU can have: processes of `on_gpu.ts`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, triedGpus } from "../software_gpus.ts";

/** Checks by words: both kinds of graphs, with normalised heads and without, and what is of no model. */
const EVERYWHERE = ["llama", "qwen3", "a slot", "queries of", "self-test", "the cache"];
/** Pieces of graphs that these have not. */
const PIECES = ["gemma3_text", "smollm3", "phi3_long", "qwen2"].map((model) => `${model}, slots with a bias`);
/** Of these drivers only lavapipe has half precision, in which every model is run. */
const WORDS = {
  "Bun + SwiftShader": [...EVERYWHERE, ...PIECES],
  "Deno + SwiftShader": EVERYWHERE,
  "Deno + lavapipe": ["half precision"],
};

for (const { name, command, env, adapter, missing } of triedGpus) {
  const words = WORDS[name as keyof typeof WORDS];
  test(`engine on ${name}`, { skip: missing && !isRequired ? missing : false, timeout: 3_600_000 }, () => {
    if (missing && !isRequired) return console.log(`skipped: engine on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(command[0]!, [
      ...command.slice(1),
      "tests/engine/on_gpu.ts",
      ...words,
    ], {
      cwd: root,
      env: { ...env, XDG_RUNTIME_DIR: "/tmp" }, // ONNX Runtime looks for an adapter too, and the drivers say that it is not set
      encoding: "utf8",
    });
    assert.equal(error, undefined);
    assert.equal(stderr, "", "drivers' chatter belongs to nobody");
    assert.equal(status, 0, stdout);
    const [opened, ...checks] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.match(opened.adapter, adapter);
    let count = 0;
    for (const check of checks) {
      assert.ok(check.found.length > 0, `${check.name} compared nothing`);
      for (const { ok, text } of check.found) assert.ok(ok, `${check.name}: ${text}`);
      count += check.found.length;
    }
    assert.ok(checks.length >= 10, "every check ran");
    console.log(`${name}: ${checks.length} checks, ${count} comparisons on ${opened.adapter}`);
  });
}
