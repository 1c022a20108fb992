import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { files, peakRssBytes } from "../../cli/host.ts";
import { openDocuments } from "../../cli/documents.ts";
import { filesBelow, root, runtimeCommand, runtimes, withFolder } from "./helpers.ts";

test("files.open reads any range, and says when a file is too short for it", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.bin");
    writeFileSync(path, Uint8Array.from({ length: 100 }, (_, i) => i));
    const file = await files.open(path);
    assert.equal(file.size, 100);
    assert.deepEqual([...await file.read(97, 3)], [97, 98, 99]);
    assert.deepEqual([...await file.read(100, 0)], []);
    await assert.rejects(file.read(98, 3), { name: "ModelError", message: /ends at byte 100.*truncated/ });
    await file.close();
    await assert.rejects(files.open(join(folder, "none")), { name: "ModelError", message: /no such file/ });
    await assert.rejects(files.readFile(folder), { name: "ModelError" });
    writeFileSync(path, "abc");
    assert.equal(await files.sha256(path), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

test("files.writeAtomically: all or nothing, folders made, temporary names gone", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "deep", "er", "a.bin");
    await files.writeAtomically(path, async (write) => {
      await write(Uint8Array.of(1, 2));
      await write(Uint8Array.of(3));
      assert.equal(await files.exists(path), false);
    });
    assert.deepEqual([...readFileSync(path)], [1, 2, 3]);
    await assert.rejects(
      files.writeAtomically(path, async (write) => {
        await write(Uint8Array.of(9));
        throw new Error("changed my mind");
      }),
      /changed my mind/,
    );
    assert.deepEqual([...readFileSync(path)], [1, 2, 3]);
    assert.deepEqual(filesBelow(folder), ["a.bin"]);
  });
});

test("files.writeAtomically: many writers of one file at once leave one whole file", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.bin");
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => files.writeAtomically(path, (write) => write(new Uint8Array(1000).fill(i)))),
    );
    const bytes = readFileSync(path);
    assert.equal(bytes.length, 1000);
    assert.equal(new Set(bytes).size, 1);
    assert.deepEqual(filesBelow(folder), ["a.bin"]);
  });
});

// A file system of its own that is really full: unshare gives a private mount table, so nothing of it is seen outside.
const small = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "-o", "size=1M", "none", "/mnt"]);
const noSmallDisk = small.status === 0 ? false : "a small file system cannot be mounted here";
if (noSmallDisk) console.error(`skipped: full disk (${noSmallDisk})`);

for (const runtime of runtimes) {
  test(`files.writeAtomically under ${runtime}: a full disk is one clear sentence and leaves nothing`, {
    skip: noSmallDisk,
  }, () => {
    const script = `import { files } from "${root}/cli/host.ts";
      import { readdirSync } from "node:fs";
      await files.writeAtomically("/mnt/models/a.bin", async (write) => { for (let i = 0; i < 64; i++) await write(new Uint8Array(65536)); })
        .catch((error) => console.log(error.name + "|" + error.code + "|" + error.message));
      console.log(readdirSync("/mnt/models").length);`;
    return withFolder((folder) => {
      const path = join(folder, "full.ts");
      writeFileSync(path, script);
      const start = runtimeCommand(runtime).join(" ");
      const ended = spawnSync(
        "unshare",
        ["-rm", "sh", "-c", `mount -t tmpfs -o size=1M none /mnt && ${start} ${path}`],
        { encoding: "utf8" },
      );
      assert.match(
        ended.stdout,
        /^PalimpsestError\|1\|Cannot write to \/mnt\/models: the disk is full, it has 1\.0 MiB free\. .*PALIMPSEST_CACHE/,
        ended.stderr,
      );
      assert.match(ended.stdout, /\n0\n$/);
    });
  });
}

test("openDocuments: files are told about before anything is read, and read in pieces", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.txt");
    writeFileSync(path, "x".repeat(200_000));
    const [source] = await openDocuments([path]);
    assert.deepEqual([source!.name, source!.size], [path, 200_000]);
    let bytes = 0;
    let largest = 0;
    for await (const piece of source!.chunks) {
      bytes += piece.length;
      largest = Math.max(largest, piece.length);
    }
    assert.equal(bytes, 200_000);
    assert.ok(largest <= 65_536);
    await assert.rejects(openDocuments([path, join(folder, "none")]), { name: "InputError", message: /no such file/ });
    mkdirSync(join(folder, "empty"));
    await assert.rejects(openDocuments([join(folder, "empty")]), {
      name: "InputError",
      message: /empty: no file is there/,
    });
    if (process.getuid?.() !== 0) {
      chmodSync(path, 0);
      await assert.rejects(openDocuments([path]), { name: "InputError", message: /no permission/ });
    }
  });
});

test("peakRssBytes is this process's own, in bytes", () => {
  const peak = peakRssBytes();
  assert.ok(peak > 20e6 && peak >= 0.9 * process.memoryUsage().rss && peak < 64e9, String(peak));
});
