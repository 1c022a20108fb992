/**
 * Golden vectors on a GPU: some of those that `PALIMPSEST_DEVICE=webgpu npm run golden` runs, where a software GPU is quickest. Every stage that has
 * vectors, of the policies those that together meet every way through the forms, and of the models those whose graphs have pieces that the ones in
 * `tests/engine/webgpu_test.ts` have not.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { isRequired, root, softwareGpus } from "./software_gpus.ts";

const WORDS = [
  "fixtures/",
  "llama/inputs",
  "models/gemma3_text/golden.safetensors (as GGUF)",
  "models/qwen2/golden.safetensors (as GGUF)",
  ...["expected_attention", "criticaladakv_snapkv", "merging_snapkv", "rerotate_snapkv", "pyramidkv_w8_b8"]
    .map((policy) => `/${policy}_c0.75`),
];
/** A fixture's seven stages, the inputs, the models and the policies. */
const VECTORS = 15;

for (const { name, command, env, adapter, missing } of softwareGpus.filter(({ name }) => name === "Deno + lavapipe")) {
  test(`golden vectors on ${name}`, { skip: missing && !isRequired ? missing : false, timeout: 3_600_000 }, () => {
    if (missing && !isRequired) return console.log(`skipped: golden vectors on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const found = spawnSync(command[0]!, [...command.slice(1), "tests/golden.ts", ...WORDS], {
      cwd: root,
      env: { ...env, XDG_RUNTIME_DIR: "/tmp", PALIMPSEST_DEVICE: "webgpu", GOLDEN_DIR: "fixtures/golden" },
      encoding: "utf8",
    });
    assert.equal(found.error, undefined);
    const [first, ...lines] = found.stdout.trim().split("\n");
    assert.match(first!, adapter);
    assert.equal(lines.at(-1), `${VECTORS} passed, 0 failed, 0 not yet supported`, found.stdout + found.stderr);
    assert.equal(found.status, 0);
  });
}

test("golden runner: a device on which no vectors run is refused", () => {
  const env = { ...process.env, PALIMPSEST_DEVICE: "wasm" };
  const [program, ...flags] = softwareGpus.find(({ name }) => name.startsWith("Bun"))!.command;
  const { stdout, status } = spawnSync(program!, [...flags, "tests/golden.ts"], { cwd: root, env, encoding: "utf8" });
  assert.equal(status, 2);
  assert.match(stdout, /PALIMPSEST_DEVICE=wasm: cpu or webgpu works/);
});
