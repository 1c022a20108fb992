/** `npm run gpu-speed` on a software driver: every figure is there, by the GPU's clock and by ours. What they are says nothing. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, softwareGpus } from "./software_gpus.ts";

const SIZES = ["--tokens", "192", "--budget", "64", "--chunk", "32"];
const MODEL = ["--model", "fixtures/gguf/llama.q8_0.gguf"];

for (const { name, command, env, adapter, missing } of softwareGpus.filter(({ name }) => name === "Deno + lavapipe")) {
  const run = (words: string[]) =>
    spawnSync(command[0]!, [...command.slice(1), "bench/gpu_speed.ts", ...MODEL, ...words], {
      cwd: root,
      env: { ...env, XDG_RUNTIME_DIR: "/tmp" },
      encoding: "utf8",
    });
  const skip = missing && !isRequired ? missing : false;

  test(`gpu-speed on ${name}`, { skip, timeout: 3_600_000 }, () => {
    if (skip) return console.log(`skipped: gpu-speed on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const bytes: number[] = [];
    for (const [clock, told] of [[[], /timestamps around/], [["--wall"], /wall time/]] as const) {
      const { stdout, stderr, status } = run([...SIZES, ...clock, "--policies", "snapkv", "--allow-software"]);
      assert.equal(status, 0, stderr);
      assert.match(stdout, adapter);
      assert.match(stdout, /proves nothing about speed/);
      assert.match(stdout, told);
      const cells = stdout.trim().split("\n").at(-1)!.split("|").slice(1, -1).map((cell) => cell.trim());
      assert.equal(cells.shift(), "`snapkv`");
      const [read, chunk, kernels, share, mega, giga, written] = cells.map(parseFloat) as [number, ...number[]];
      for (const figure of [read, chunk, kernels, share, mega, giga, written]) {
        assert.ok(figure! > 0 && Number.isFinite(figure), stdout);
      }
      // three digits each
      assert.ok(Math.abs(giga! * kernels! / mega! - 1) < 0.02, stdout);
      bytes.push(mega!);
    }
    assert.equal(bytes[0], bytes[1]);
  });

  test(`gpu-speed on ${name} refuses what it cannot measure`, { skip, timeout: 3_600_000 }, () => {
    if (skip) return;
    const software = run(SIZES);
    assert.equal(software.status, 1);
    assert.match(software.stderr, /software adapter/);
    const short = run(["--tokens", "64", "--budget", "64", "--chunk", "32", "--allow-software"]);
    assert.equal(short.status, 1);
    assert.match(short.stderr, /more --tokens/);
    assert.equal(short.stdout, "");
  });
}
