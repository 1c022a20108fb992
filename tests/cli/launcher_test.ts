import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { launcher, palimpsest, root, runtimeCommand, runtimes, withFolder } from "./helpers.ts";

for (const runtime of runtimes) {
  const env = { PALIMPSEST_RUNTIME: runtime };

  test(`launcher under ${runtime}: --version prints the version and nothing else`, async () => {
    const ended = await palimpsest(["--version"], { env });
    assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, `${manifest.version}\n`, ""]);
  });

  test(`launcher under ${runtime}: --help starts at once and names every command`, async () => {
    await palimpsest(["--help"], { env });
    const ended = await palimpsest(["--help"], { env });
    assert.equal(ended.code, 0);
    for (const command of ["ask", "summarize", "plan", "pull", "models", "policies", "doctor", "completions"]) {
      assert.match(ended.stdout, new RegExp(`^  ${command}\\b`, "m"));
    }
    assert.doesNotMatch(ended.stdout, /^ {2}complete\b/m);
    // The bar is 200 ms on a quiet machine; a busy one gets five times that.
    assert.ok(ended.milliseconds < 1000, `--help took ${ended.milliseconds.toFixed(0)} ms`);
  });

  test(`launcher under ${runtime}: works through symbolic links, from a folder whose configuration takes no part`, async () => {
    await withFolder(async (folder) => {
      writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
      writeFileSync(join(folder, "deno.json"), '{ "imports": { "commander": "./foreign.ts" } }\n');
      writeFileSync(join(folder, ".env"), "PALIMPSEST_CHUNK=nonsense\n");
      writeFileSync(join(folder, "foreign.ts"), 'console.log("foreign code ran");\n');
      symlinkSync(launcher, join(folder, "first"));
      symlinkSync("first", join(folder, "second"));
      const ended = await palimpsest(["ask", "missing.txt", "Who?"], {
        env,
        cwd: folder,
        program: join(folder, "second"),
      });
      assert.equal(ended.code, 3, ended.stderr);
      assert.equal(ended.stdout, "");
    });
  });
}

test("a stdout that is closed or full is an error, an unread or silent one is none", async () => {
  const to = (redirection: string, program: string[], env = {}) =>
    palimpsest(["-c", `exec "$@" ${redirection}`, "sh", ...program, "version", "--json"], { program: "sh", env });
  const starts: [program: string[], env: Record<string, string>][] = runtimes.map((runtime) => [
    [launcher],
    { PALIMPSEST_RUNTIME: runtime },
  ]);
  // as the binary, without the launcher
  if (existsSync("/proc/self/fdinfo")) starts.push([[...runtimeCommand("bun"), join(root, "cli", "main.ts")], {}]);
  for (const [program, env] of starts) {
    const closed = await to(">&-", program, env);
    assert.equal(closed.code, 1, `${program}: ${closed.stderr}`);
    assert.match(closed.stderr, /^palimpsest: Cannot write to stdout: it is closed; send it to a file, .*\n$/);
    if (existsSync("/dev/full")) {
      const full = await to(">/dev/full", program, env);
      assert.deepEqual([full.code, /stdout: its disk is full/.test(full.stderr)], [1, true], full.stderr);
    }
    const silent = await to(">/dev/null", program, env);
    assert.deepEqual([silent.code, silent.stderr], [0, ""]);
  }
});

test("launcher: an unknown PALIMPSEST_RUNTIME is a usage error", async () => {
  const ended = await palimpsest(["--version"], { env: { PALIMPSEST_RUNTIME: "perl" } });
  assert.equal(ended.code, 2);
  assert.match(ended.stderr, /must be bun or deno, current value is perl/);
});

test("launcher: takes the runtime on PATH first", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "bin"));
    writeFileSync(join(folder, "bin", "bun"), '#!/bin/sh\necho "own bun: $*"\n');
    chmodSync(join(folder, "bin", "bun"), 0o755);
    const ended = await palimpsest(["--version"], { env: { PATH: `${join(folder, "bin")}:${process.env.PATH}` } });
    assert.match(ended.stdout, /^own bun: .*cli\/main\.ts --version\n$/);
  });
});

test("launcher: without Bun and Deno it says what to run and exits 6", async () => {
  await withFolder(async (folder) => {
    // A copy has no node_modules beside it.
    mkdirSync(join(folder, "cli"));
    const { readFileSync } = await import("node:fs");
    writeFileSync(join(folder, "cli", "palimpsest"), readFileSync(launcher), { mode: 0o755 });
    const ended = await palimpsest(["--version"], {
      program: join(folder, "cli", "palimpsest"),
      env: { PATH: "/usr/bin:/bin" },
    });
    assert.equal(ended.code, 6);
    assert.match(ended.stderr, /npm run setup/);
  });
});
