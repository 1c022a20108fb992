import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { commitOf } from "../../cli/version.ts";
import { filesBelow, needsModel, palimpsest, root, runtimeCommand, testModel } from "./helpers.ts";

const folder = mkdtempSync(join(tmpdir(), "palimpsest-binary-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const binary = join(folder, "palimpsest");
const cache = join(folder, "cache");
const text = join(folder, "text.txt");
writeFileSync(text, "The lighthouse keeper Orla Venn painted the door green on a Tuesday. The sea was calm.\n");

// No Node, Bun or Deno in sight, and a folder whose files must not configure it.
writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
writeFileSync(join(folder, "foreign.ts"), 'console.log("foreign code ran");\n');
const run = (args: string[]) =>
  palimpsest(args, {
    program: binary,
    cwd: folder,
    env: { PATH: "/nowhere", PALIMPSEST_CACHE: cache, PALIMPSEST_MODEL: testModel },
  });

test("compile makes one file that starts at once", async () => {
  const [program, ...first] = runtimeCommand("bun") as [string, ...string[]];
  const made = spawnSync(program, [...first, join(root, "cli", "compile.ts"), binary], { encoding: "utf8", cwd: root });
  assert.equal(made.status, 0, made.stderr);
  console.error(`binary: ${(statSync(binary).size / 2 ** 20).toFixed(0)} MiB`);
  await run(["--version"]);
  const ended = await run(["--version"]);
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, `${manifest.version}\n`, ""]);
  const told = JSON.parse((await run(["version", "--json"])).stdout);
  assert.deepEqual([told.compiled, told.commit], [true, commitOf(root)]);
  console.error(`binary: --version in ${ended.milliseconds.toFixed(0)} ms`);
  assert.ok(ended.milliseconds < 1000);
  assert.deepEqual(filesBelow(cache), []);
});

test("the binary has the repository's packs inside", async () => {
  const packs = (ended: { stdout: string }) =>
    JSON.parse(ended.stdout).policies.map(({ packs }: { packs: unknown }) => packs);
  assert.deepEqual(packs(await run(["policies", "--json"])), packs(await palimpsest(["policies", "--json"])));
});

const driver = "/usr/lib/chromium/vk_swiftshader_icd.json";
const noDriver = existsSync(driver) ? false : "SwiftShader is not there (Debian: chromium)";
test("the binary has its own WebGPU library and its shaders", { skip: noDriver }, async () => {
  const env = {
    PATH: "/nowhere",
    PALIMPSEST_CACHE: join(folder, "gpu-cache"),
    VK_ICD_FILENAMES: driver,
    VK_DRIVER_FILES: driver,
  };
  const { stdout } = await palimpsest(["doctor", "--json"], { program: binary, cwd: folder, env });
  const { webgpu } = JSON.parse(stdout);
  assert.deepEqual(webgpu.adapters.map((one: { selfTest: string }) => one.selfTest), ["passed"], stdout);
});

test("the binary answers on WebGPU as the checkout does in WebAssembly, which rounds nothing either", {
  skip: noDriver,
}, async () => {
  const env = {
    PATH: "/nowhere",
    PALIMPSEST_CACHE: join(folder, "gpu-cache"),
    PALIMPSEST_MODEL: join(root, "fixtures", "gguf", "llama.q8_0.gguf"),
    VK_ICD_FILENAMES: driver,
    VK_DRIVER_FILES: driver,
  };
  const args = ["ask", "--policy", "snapkv", "--kv-budget", "64", "--chunk", "64", "-n", "4", text, "Whose door?"];
  // the CPU device rounds activations to 8 bits, which a random model's answer shows
  const { PALIMPSEST_CACHE, PALIMPSEST_MODEL } = env;
  const wasm = await palimpsest([...args, "--device", "wasm"], { env: { PALIMPSEST_CACHE, PALIMPSEST_MODEL } });
  const webgpu = await palimpsest([...args, "--device", "webgpu", "--allow-software"], {
    program: binary,
    cwd: folder,
    env,
  });
  assert.deepEqual([webgpu.code, webgpu.stderr], [0, ""]);
  assert.deepEqual([wasm.code, wasm.stdout], [0, webgpu.stdout]);
});

test("the binary answers as the checkout does, and unpacks its library once", needsModel, async () => {
  const args = ["ask", "-n", "24", text, "What colour is the door?"];
  const both = await Promise.all([run(args), run(args)]);
  const checkout = await palimpsest(args, { env: { PALIMPSEST_CACHE: cache, PALIMPSEST_MODEL: testModel } });
  for (const one of both) assert.deepEqual([one.code, one.stdout, one.stderr], [0, checkout.stdout, ""]);
  const native = filesBelow(join(cache, "native"));
  assert.ok(native.some((name) => name === "onnxruntime_binding.node"), native.join(" "));
  assert.deepEqual(native.filter((name) => name.endsWith(".tmp")), []);
});

test("the binary replaces a damaged library before it opens it", needsModel, async () => {
  const found = spawnSync("find", [join(cache, "native"), "-name", "onnxruntime_binding.node"], { encoding: "utf8" })
    .stdout.trim();
  truncateSync(found, 1000);
  const ended = await run(["doctor", "--json"]);
  assert.equal(ended.code, 0, ended.stdout);
  assert.ok(statSync(found).size > 100_000);
});
