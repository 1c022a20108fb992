import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bunExecutable, targets } from "../../cli/compile/targets.ts";
import lockfile from "../../package-lock.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { root, withFolder } from "./helpers.ts";

test("targets: ONNX Runtime has a library for each, and the lockfile a Bun of our version with its hash", () => {
  const packages = lockfile.packages as Record<string, { version: string; integrity?: string }>;
  for (const [name, { platform, arch, package: bun }] of Object.entries(targets)) {
    const natives = join(root, "node_modules", "onnxruntime-node", "bin", "napi-v6", platform, arch);
    assert.ok(existsSync(join(natives, "onnxruntime_binding.node")), name);
    const locked = packages[`node_modules/${bun}`]!;
    assert.equal(locked.version, manifest.devDependencies.bun, name);
    assert.match(locked.integrity!, /^sha512-/, name);
  }
});

test("bunExecutable: what was fetched once is taken again, without npm", () =>
  withFolder((folder) => {
    const target = targets["windows-x64"]!, version = manifest.devDependencies.bun;
    mkdirSync(join(folder, `bun-windows-x64-${version}`));
    const kept = join(folder, `bun-windows-x64-${version}`, "bun.exe");
    writeFileSync(kept, "");
    assert.equal(bunExecutable(target, root, folder), kept);
  }));
