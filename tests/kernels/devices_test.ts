/** Every kernel in every case under the runtimes and drivers that a machine without a GPU can have: three processes of `on_device.ts`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";

const root = dirname(dirname(import.meta.dirname));
const modules = join(root, "node_modules");
const first = (paths: string[]) => paths.find((path) => existsSync(path));
const program = (scope: string, file: string) =>
  first(
    existsSync(join(modules, scope))
      ? readdirSync(join(modules, scope)).map((name) => join(modules, scope, name, file))
      : [],
  );

const bun = [
  process.versions.bun ? process.execPath : program("@oven", "bin/bun"),
  "--no-env-file",
  "--config=cli/bunfig.toml",
  "--no-install",
];
const deno = [program("@deno", "deno"), "run", "--allow-all", "--quiet", "--no-lock", "--no-check"];
/** Files by which Vulkan finds a driver. */
const swiftShader = first(["/usr/lib/chromium/vk_swiftshader_icd.json"]);
const lavapipe = first(["x86_64", "aarch64"].map((machine) => `/usr/share/vulkan/icd.d/lvp_icd.${machine}.json`));

for (
  const [name, runtime, driver, packages] of [
    ["Bun + SwiftShader", bun, swiftShader, "chromium libvulkan1"],
    ["Deno + SwiftShader", deno, swiftShader, "chromium libvulkan1"],
    ["Deno + lavapipe", deno, lavapipe, "mesa-vulkan-drivers libvulkan1"],
  ] as const
) {
  const missing = !runtime[0]
    ? "the runtime is not in node_modules"
    : !driver
    ? `the driver is not there (Debian: ${packages})`
    : null;
  const required = process.env.PALIMPSEST_REQUIRE_GPU === "1";
  test(`kernels and device on ${name}`, { skip: missing && !required ? missing : false }, () => {
    if (missing && !required) return console.log(`skipped: kernels on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const env = {
      ...process.env,
      VK_ICD_FILENAMES: driver!,
      VK_DRIVER_FILES: driver!,
    };
    delete (env as NodeJS.ProcessEnv).XDG_RUNTIME_DIR;
    const { stdout, stderr, status, error } = spawnSync(runtime[0]!, [
      ...runtime.slice(1) as string[],
      "tests/kernels/on_device.ts",
    ], {
      cwd: root,
      env,
      encoding: "utf8",
    });
    assert.equal(error, undefined);
    assert.equal(stderr, "", "drivers' chatter belongs to nobody");
    const [opened, told] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(opened.kind, "software");
    assert.match(opened.adapter, driver === swiftShader ? /swiftshader/i : /llvmpipe/i);
    assert.deepEqual(told.failures, []);
    assert.equal(status, 0);
    assert.ok(told.kernels >= 6 && told.cases >= 2 * told.kernels, stdout);
    console.log(`${name}: ${told.kernels} kernels, ${told.cases} cases on ${opened.adapter}`);
  });
}
