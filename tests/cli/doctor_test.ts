/** What `doctor` says of the GPU, as a process: with a software driver, without any, and without the package. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { type AdapterReport, autoDevice } from "../../cli/doctor_webgpu.ts";
import { LEAST_LIMITS } from "../../kernels/device/device.ts";
import { palimpsest, root, runtimes } from "./helpers.ts";

const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";
const driver = (file: string) => ({ VK_ICD_FILENAMES: file, VK_DRIVER_FILES: file });

describe("doctor on the GPU", () => {
  for (const runtime of runtimes) {
    const missing = existsSync(swiftShader) ? false : "SwiftShader is not there (Debian: chromium)";
    test(
      `SwiftShader under ${runtime}: software, passes its self-test, not taken by auto`,
      { skip: missing },
      async () => {
        const env = { PALIMPSEST_RUNTIME: runtime, ...driver(swiftShader) };
        const { stdout, stderr } = await palimpsest(["doctor", "--json"], { env });
        assert.equal(stderr, "");
        const { webgpu, auto } = JSON.parse(stdout);
        assert.equal(webgpu.problem, null);
        assert.equal(webgpu.adapters.length, 1);
        const [adapter] = webgpu.adapters;
        assert.match(adapter.name, /SwiftShader/);
        assert.deepEqual([adapter.kind, adapter.selfTest], ["software", "passed"]);
        assert.ok(adapter.features.includes("timestamp-query"), String(adapter.features));
        for (const [name, least] of Object.entries(LEAST_LIMITS)) assert.ok(adapter.limits[name] >= least, name);
        assert.equal(auto.device, "cpu");
        assert.match(auto.reason, /is a software adapter, slower than the CPU device/);
        const text = await palimpsest(["doctor"], { env });
        assert.match(text.stdout, /·\s+webgpu\s+.*SwiftShader.*, software, .*self-test passed/);
        assert.match(text.stdout, /·\s+auto\s+takes cpu: .*software adapter/);
      },
    );

    const vulkan = process.platform === "linux" ? false : "only Vulkan's drivers can be hidden";
    test(`no driver under ${runtime}: a sentence, no noise, and auto takes the CPU`, { skip: vulkan }, async () => {
      const { stdout, stderr, code } = await palimpsest(["doctor", "--json"], {
        env: { PALIMPSEST_RUNTIME: runtime, ...driver("/no/such/driver.json") },
      });
      assert.equal(stderr, "");
      assert.equal(code, 5, "the model is missing, and nothing else");
      const { webgpu, auto, checks } = JSON.parse(stdout);
      assert.equal(auto.device, "cpu");
      const line = checks.find((one: { name: string }) => one.name === "webgpu").detail;
      if (runtime === "bun") {
        assert.deepEqual(webgpu.adapters.map(({ kind, selfTest }: AdapterReport) => [kind, selfTest]), [[
          "null",
          null,
        ]]);
        assert.match(line, /computes nothing: no graphics driver was found/);
      } else {
        // Deno has OpenGL to fall back to, where there is Mesa's
        assert.ok(webgpu.adapters.every(({ kind }: AdapterReport) => kind === "software"), stdout);
        assert.ok(webgpu.adapters.length === 1 || /no adapter/.test(line), line);
      }
    });
  }

  const bun = process.versions.bun ? false : "needs Bun";
  const withoutPackage = (args: string[]) =>
    palimpsest([
      "--no-env-file",
      "--no-install",
      "--preload",
      join(root, "tests/cli/refuse_webgpu.ts"),
      "cli/main.ts",
      ...args,
    ], {
      program: process.execPath,
    });
  test("no package: a sentence", { skip: bun }, async () => {
    const { stdout, stderr, code } = await withoutPackage(["doctor", "--json"]);
    assert.equal(code, 5);
    assert.match(stderr, /^(bun-webgpu was asked for\n)+$/, "and nothing of ours");
    const { webgpu, auto } = JSON.parse(stdout);
    assert.match(webgpu.problem, /^Cannot load bun-webgpu, Bun's WebGPU: .*\. Deno .* works$/);
    assert.deepEqual([webgpu.adapters, auto.device], [[], "cpu"]);
  });

  test("neither help nor an answer on the CPU asks for the package", { skip: bun }, async () => {
    const help = await withoutPackage(["--help"]);
    assert.deepEqual([help.code, help.stderr], [0, ""]);
    const ask = await withoutPackage(["ask", "--device", "cpu", "README.md", "Why?"]);
    assert.match(ask.stderr, /^palimpsest: The model .* is not on this machine, run: palimpsest pull/);
  });
});

test("autoDevice: a GPU that may be used is named, else why not; then the CPU, then WebAssembly", () => {
  const adapter = {
    name: "RTX",
    vendor: "",
    kind: "hardware",
    features: [],
    limits: {},
    selfTest: "passed",
    refused: null,
  } as const;
  const report = (adapters: AdapterReport[], problem: string | null = null) => ({ runtime: "x", problem, adapters });
  const gpu = { ...adapter, features: [] };
  assert.deepEqual(autoDevice(report([gpu]), true, true), {
    device: "webgpu",
    reason: '"RTX" passed its self-test',
  });
  assert.deepEqual(autoDevice(report([{ ...gpu, refused: "is too small" }]), true, true), {
    device: "cpu",
    reason: "is too small",
  });
  assert.equal(autoDevice(report([], "no adapter"), false, true).device, "wasm");
  assert.match(
    autoDevice(report([], "no adapter"), false, false).reason,
    /native library cannot be opened; no adapter/,
  );
});
