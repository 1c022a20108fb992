/** Answers on WebGPU as a user gets them: processes of the command line, with SwiftShader, a GPU that is lost, and none. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openModel } from "../../core/model.ts";
import { parsePolicy } from "../../core/policies.ts";
import type { Policy } from "../../core/policy.ts";
import { stages } from "../../core/stages.ts";
import { unsupportedOnGpu } from "../../kernels/reading/supported.ts";
import { files, fixture } from "../host.ts";
import { isRequired, softwareGpus } from "../software_gpus.ts";
import { palimpsest, root, runtimeCommand, runtimes, type StartOptions } from "./helpers.ts";

const folder = mkdtempSync(join(tmpdir(), "palimpsest-webgpu-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const document = join(folder, "document.txt");
writeFileSync(document, "The dog saw the cat, and the end was the start. ".repeat(7));
// Weights that all devices hold exactly. WebAssembly is what WebGPU is compared with: the CPU device rounds activations to 8 bits, which a random model's
// answer shows.
const env = { PALIMPSEST_CACHE: join(folder, "cache"), PALIMPSEST_MODEL: fixture("gguf/llama.q8_0.gguf") };
/** One compaction and a few tokens: what a CPU that plays a GPU does in seconds. */
const small = ["--policy", "snapkv", "--kv-budget", "96", "--chunk", "64", "-n", "4"];
const noDriver = { VK_ICD_FILENAMES: "/no/driver.json", VK_DRIVER_FILES: "/no/driver.json" };

/** `ask` with a source of GPUs of the tests'. */
function losing(runtime: "bun" | "deno", args: string[], options: StartOptions) {
  const [program, ...first] = runtimeCommand(runtime) as [string, ...string[]];
  const own = runtime === "bun" ? ["--no-env-file", `--config=${join(root, "cli/bunfig.toml")}`, "--no-install"] : [];
  return palimpsest([...first, ...own, join(root, "tests/cli/losing_gpu.ts"), ...args], { ...options, program });
}

for (const runtime of runtimes) {
  const gpu = softwareGpus.find(({ name }) => name.toLowerCase() === `${runtime} + swiftshader`)!;
  const skip = gpu.missing && !isRequired ? gpu.missing : false;
  const driver = { VK_ICD_FILENAMES: gpu.env.VK_ICD_FILENAMES ?? "", VK_DRIVER_FILES: gpu.env.VK_DRIVER_FILES ?? "" };
  const on = (args: string[], more: Record<string, string> = {}) =>
    palimpsest(args, { env: { ...env, ...driver, PALIMPSEST_RUNTIME: runtime, ...more } });

  describe(`ask --device webgpu under ${runtime}`, { skip }, () => {
    test("a software adapter: WebAssembly's answer, nothing on stderr, the same slots evicted", async () => {
      const ask = ["ask", "--json", ...small, document, "Who saw the cat?"];
      const [wasm, webgpu] = [
        await on([...ask, "--device", "wasm"]),
        await on([...ask, "--device", "webgpu", "--allow-software"]),
      ];
      assert.deepEqual([webgpu.code, webgpu.stderr], [0, ""], webgpu.stdout);
      const [mine, theirs] = [JSON.parse(webgpu.stdout), JSON.parse(wasm.stdout)];
      assert.equal(mine.answer, theirs.answer);
      assert.deepEqual([mine.device.kind, theirs.device.kind], ["webgpu", "wasm"]);
      assert.match(mine.device.name, /SwiftShader/);
      assert.ok(mine.kv.compactions > 0 && mine.kv.compactions === theirs.kv.compactions);
      assert.equal(mine.kv.evictedSlots, theirs.kv.evictedSlots);
    });

    test("without --allow-software it is refused, exit 6", async () => {
      const { code, stdout, stderr } = await on(["ask", "--device", "webgpu", ...small, document, "Who?"]);
      assert.deepEqual([code, stdout], [6, ""]);
      assert.match(stderr, /^palimpsest: GPU adapter ".*" is a software adapter, .*--allow-software works\n$/);
    });

    test("a device lost in mid-document: auto reads the file again on the CPU, with one remark", async () => {
      const lost = await losing(runtime, ["3", "auto", "Who saw the cat?", document], { env: { ...env, ...driver } });
      assert.equal(lost.code, 0, lost.stderr);
      const remarks = lost.stderr.split("\n").filter((line) => /^palimpsest: /.test(line));
      assert.equal(remarks.length, 1, lost.stderr);
      assert.match(remarks[0]!, /GPU.*; reading again from the start, on the CPU/);
      const plain = await on(["ask", "--device", "cpu", ...small, document, "Who saw the cat?"]);
      assert.equal(lost.stdout, plain.stdout);
    });

    // the tests' own GPU says that it is full, the same under both; a process takes half a minute on a slow machine
    if (runtime !== "deno") return;
    test("no memory left for the cache: auto goes on with the CPU, also with a pipe, of which nothing was read", async () => {
      const stdin = readFileSync(document), asked = ["full@0", "auto", "Who saw the cat?"];
      const full = await losing(runtime, asked, { env: { ...env, ...driver }, stdin });
      assert.equal(full.code, 0, full.stderr);
      assert.match(
        full.stderr,
        /^palimpsest: The GPU ".*" has no memory for the cache left: .*; going on with the CPU$/m,
      );
      const plain = await on(["ask", "--device", "cpu", ...small, document, "Who saw the cat?"]);
      assert.equal(full.stdout, plain.stdout);
    });

    test("no memory left in mid-document: auto reads a file again, a pipe and a wanted GPU are exit 6", async () => {
      const more = { env: { ...env, ...driver } }, ask = (...args: string[]) => ["full@2", ...args];
      const again = await losing(runtime, ask("auto", "Who saw the cat?", document), more);
      assert.equal(again.code, 0, again.stderr);
      assert.match(
        again.stderr,
        /^palimpsest: The GPU ".*" has no .* left: .*; reading again from the start, on the CPU$/m,
      );
      const piped = await losing(runtime, ask("auto", "Who?"), { ...more, stdin: readFileSync(document) });
      assert.deepEqual([piped.code, piped.stdout], [6, ""], piped.stderr);
      assert.match(piped.stderr, /has no .* left.*stdin cannot be read a second time/);
      const wanted = await losing(runtime, ask("webgpu", "Who?", document), more);
      assert.deepEqual([wanted.code, wanted.stdout], [6, ""], wanted.stderr);
      assert.match(wanted.stderr, /has no .* left: .*A smaller --kv-budget or --chunk, or --device cpu, works/);
    });
  });

  test(`ask under ${runtime} without a driver: webgpu is exit 6, auto takes the CPU in silence`, async () => {
    const none = { env: { ...env, ...noDriver, PALIMPSEST_RUNTIME: runtime } };
    const refused = await palimpsest(["ask", "--device", "webgpu", ...small, document, "Who?"], none);
    assert.deepEqual([refused.code, refused.stdout], [6, ""]);
    // Deno finds Mesa's OpenGL where there is some
    assert.match(
      refused.stderr,
      /^palimpsest: (GPU adapter ".*" (computes nothing|is a software)|There is no GPU: ).*\n$/,
    );
    const auto = await palimpsest(["ask", "--json", ...small, document, "Who?"], none);
    assert.deepEqual([auto.code, auto.stderr, JSON.parse(auto.stdout).device.kind], [0, "", "cpu"]);
  });
}

test("plan for a GPU that is not here: f32, or half precision in fewer bytes, and a budget in bytes has room for more slots", async () => {
  const plan = async (...args: string[]) => {
    const of = [
      "plan",
      "--json",
      "--device",
      "webgpu",
      "--policy",
      "snapkv",
      "--chunk",
      "64",
      "-n",
      "64",
      ...args,
      document,
    ];
    const { code, stdout, stderr } = await palimpsest(of, { env: { ...env, ...noDriver } });
    assert.equal(code, 0, stderr);
    const { kv, gpu } = JSON.parse(stdout);
    return { type: kv.type, slots: kv.budgetSlots, bytes: kv.bytes, peak: gpu.peakBytes };
  };
  const none = await plan("--kv-budget", "2000"), half = await plan("--kv-budget", "2000", "--kv-type", "f16");
  assert.deepEqual([none.type, half.type, none.slots, half.slots], ["f32", "f16", 2000, 2000]);
  // what is known of a slot beside its rows takes as much as before
  assert.ok(half.bytes < 0.65 * none.bytes && half.bytes > 0.5 * none.bytes, `${half.bytes} of ${none.bytes}`);
  assert.ok(half.peak < none.peak - (none.bytes - half.bytes) / 2);
  const [few, many] = [await plan("--kv-budget", "4MiB"), await plan("--kv-budget", "4MiB", "--kv-type", "f16")];
  assert.ok(many.slots > 1.5 * few.slots, `${many.slots} slots instead of ${few.slots}`);
  // a budget is found between two sizes: half a percent off, as `planned_test.ts` allows
  for (const { bytes } of [few, many]) assert.ok(Math.abs(bytes / 2 ** 22 - 1) <= 0.005, `${bytes} bytes`);
});

describe("a GPU that is lost", () => {
  test("a file is read again; the answer is the CPU's", async () => {
    const { code, stdout, stderr } = await losing("bun", ["fake", "auto", "Who?", document], { env });
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^palimpsest: The GPU "fake" was lost: it was a test; reading again from the start, on the CPU$/m,
    );
    const cpu = await palimpsest(
      ["ask", "--device", "cpu", ...small.with(1, "streaming"), document, "Who?"],
      { env },
    );
    assert.deepEqual([stdout.length > 1, stdout], [true, cpu.stdout]);
  });

  test("a pipe cannot be read again: exit 6, which says so", async () => {
    const stdin = "The dog saw the cat, and the end was the start. ".repeat(20);
    const { code, stdout, stderr } = await losing("bun", ["fake", "auto", "Who?"], { env, stdin });
    assert.deepEqual([code, stdout], [6, ""]);
    assert.match(stderr, /^palimpsest: .*was lost: it was a test; stdin cannot be read a second time: a file can/m);
  });

  test("where a GPU was asked for, exit 6 with what happened", async () => {
    const { code, stderr } = await losing("bun", ["fake", "webgpu", "Who?", document], { env });
    assert.equal(code, 6);
    assert.match(stderr, /^palimpsest: The GPU "fake" was lost: it was a test$/m);
  });
});

test("what has no form on a GPU is refused with its name and what works, before a file or a driver is opened", async () => {
  const gpu = () =>
    Promise.resolve({
      unsupported: ({ decode }: Policy) => decode.name === "h2o" ? "decode=h2o" : null,
      open: () => Promise.reject(new Error("opened")),
    });
  const nothing = () => Promise.reject(new Error("loaded"));
  const runtimes = { native: nothing, wasm: nothing };
  const options = { path: "/no/model.gguf", device: "webgpu" as const, gpu, cacheFolder: folder, files, runtimes };
  await assert.rejects(
    openModel({ ...options, policy: "probe=window,decode=h2o" }),
    /cannot run on a GPU: decode=h2o has no form there yet; --device cpu works, or a policy of .*snapkv/,
  );
});

test("every variant of every stage has a form on a GPU", () => {
  for (const [stage, variants] of Object.entries(stages)) {
    if (stage === "recall") continue; // runs on the CPU
    for (const name of Object.keys(variants)) {
      assert.equal(unsupportedOnGpu(parsePolicy(`${stage}=${name}`)), null, `${stage}=${name}`);
    }
  }
});
