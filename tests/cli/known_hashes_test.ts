import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { withKnownHashes } from "../../cli/known_hashes.ts";
import { pause, root, runtimeCommand, runtimes, withFolder } from "./helpers.ts";

const of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("withKnownHashes: a file as it was has the hash it had; one that differs, whatever its time says, is hashed", () =>
  withFolder(async (folder) => {
    const cache = join(folder, "cache"), path = join(folder, "a.bin"), notes = join(cache, "hashes.json");
    const bytes = new Uint8Array(1 << 24).fill(3), { sha256 } = withKnownHashes(cache);
    writeFileSync(path, bytes);
    assert.equal(await sha256(path), of(bytes));
    assert.equal(existsSync(notes), false); // it has just been changed
    await pause(2100);
    assert.equal(await sha256(path), of(bytes));
    const [[at, looks]] = JSON.parse(readFileSync(notes, "utf8"));
    assert.equal(at, path);
    // what is remembered is what is told
    writeFileSync(notes, JSON.stringify([[at, looks, "remembered"]]));
    assert.equal(await sha256(path), "remembered");
    // both runtimes see the same file
    const script = `import { withKnownHashes } from ${JSON.stringify(join(root, "cli", "known_hashes.ts"))};
      console.log(await withKnownHashes(${JSON.stringify(cache)}).sha256(${JSON.stringify(path)}));`;
    writeFileSync(join(folder, "ask.ts"), script);
    for (const runtime of runtimes) {
      const [program, ...args] = runtimeCommand(runtime);
      const { stdout, stderr } = spawnSync(program!, [...args, join(folder, "ask.ts")], { encoding: "utf8" });
      assert.equal(stdout, "remembered\n", `${runtime}: ${stderr}`);
    }
    // the same size and the time put back
    const { atime, mtime } = statSync(path);
    bytes[5] = 4;
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
    assert.equal(await sha256(path), of(bytes));
    writeFileSync(notes, "no JSON");
    assert.equal(await sha256(path), of(bytes));
    await assert.rejects(sha256(join(folder, "none")), { name: "ModelError", message: /no such file/ });
  }));
