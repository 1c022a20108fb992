import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { claimPartial } from "../../cli/sources/partial.ts";
import { filesBelow, palimpsest, runtimes, withFolder } from "./helpers.ts";

const weights = randomBytes(2_000_000);
const sha256 = createHash("sha256").update(weights).digest("hex");

interface Behaviour {
  /** Checksum that the hub states. */
  states?: string;
  /** Breaks every answer's connection after so many bytes. */
  breakAfter?: number;
  /** Breaks only so many answers. */
  breaks?: number;
  /** Sends the whole file whatever range is asked for. */
  ignoresRanges?: boolean;
  token?: string;
}

/** A hub on this machine that speaks the two requests that a download needs. Returns the ranges it was asked for. */
async function withHub(behaviour: Behaviour, use: (url: string, ranges: string[]) => Promise<void>): Promise<void> {
  const ranges: string[] = [];
  let breaks = behaviour.breaks ?? Infinity;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    if (behaviour.token && request.headers.authorization !== `Bearer ${behaviour.token}`) {
      return void response.writeHead(401).end();
    }
    if (request.url === "/api/models/owner/tiny/paths-info/main") {
      response.writeHead(200, { "content-type": "application/json" });
      const lfs = { oid: behaviour.states ?? sha256, size: weights.length, pointerSize: 130 };
      return void response.end(
        JSON.stringify([{ type: "file", path: "tiny.gguf", size: weights.length, oid: "0", lfs }]),
      );
    }
    if (request.url !== "/owner/tiny/resolve/main/tiny.gguf") {
      return void response.writeHead(404, { "x-error-code": "RepoNotFound", "content-type": "application/json" }).end(
        '{"error":"not found"}',
      );
    }
    const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const probe = request.headers.range === "bytes=0-0";
    if (!probe) ranges.push(request.headers.range ?? "whole");
    const [from, to] = asked && (probe || !behaviour.ignoresRanges)
      ? [Number(asked[1]), Number(asked[2])]
      : [0, weights.length - 1];
    const body = weights.subarray(from, to + 1);
    const range = { "content-range": `bytes ${from}-${to}/${weights.length}` };
    const partial = asked && (probe || !behaviour.ignoresRanges);
    response.writeHead(partial ? 206 : 200, { etag: '"x"', "content-length": body.length, ...(partial ? range : {}) });
    if (!probe && behaviour.breakAfter !== undefined && body.length > behaviour.breakAfter && breaks-- > 0) {
      response.write(body.subarray(0, behaviour.breakAfter), () => setTimeout(() => response.destroy(), 50));
    } else response.end(body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, ranges);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const wanted = ["pull", "hf:owner/tiny:tiny.gguf", "--json"];

for (const runtime of runtimes) {
  test(`pull from a hub under ${runtime}: the file is verified and stored; a second pull asks nobody`, async () => {
    await withFolder(async (cache) => {
      const env = { PALIMPSEST_CACHE: cache, PALIMPSEST_RUNTIME: runtime };
      await withHub({}, async (url, ranges) => {
        const ended = await palimpsest(wanted, { env: { ...env, HF_ENDPOINT: url } });
        assert.equal(ended.code, 0, ended.stdout + ended.stderr);
        const told = JSON.parse(ended.stdout);
        assert.deepEqual([told.schema, told.downloaded, told.model.name, told.model.sha256], [
          "palimpsest.pull/1",
          true,
          "tiny",
          sha256,
        ]);
        assert.ok(weights.equals(readFileSync(told.model.path)));
        assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
        assert.equal(ranges.length, 1);
      });
      const again = await palimpsest(wanted, { env: { ...env, HF_ENDPOINT: "http://127.0.0.1:9" } });
      assert.deepEqual([again.code, JSON.parse(again.stdout).downloaded], [0, false]);
    });
  });

  test(`pull from a hub under ${runtime}: a connection that breaks is taken up where it ended`, async () => {
    await withFolder(async (cache) => {
      await withHub({ breakAfter: 700_000 }, async (url, ranges) => {
        const ended = await palimpsest(wanted, {
          env: { PALIMPSEST_CACHE: cache, PALIMPSEST_RUNTIME: runtime, HF_ENDPOINT: url },
        });
        assert.equal(ended.code, 0, ended.stdout + ended.stderr);
        assert.ok(weights.equals(readFileSync(JSON.parse(ended.stdout).model.path)));
        assert.ok(ranges.length >= 3 && /^bytes=[1-9]\d+-1999999$/.test(ranges[1]!), ranges.join(" "));
      });
    });
  });

  test(`pull from a hub under ${runtime}: wrong bytes are exit 5 and not kept`, async () => {
    await withFolder(async (cache) => {
      await withHub({ states: "0".repeat(64) }, async (url) => {
        const ended = await palimpsest(wanted, {
          env: { PALIMPSEST_CACHE: cache, PALIMPSEST_RUNTIME: runtime, HF_ENDPOINT: url },
        });
        assert.equal(ended.code, 5);
        assert.match(JSON.parse(ended.stdout).message, /has SHA-256 .*, but 0{64} was expected: not kept/);
        assert.deepEqual(filesBelow(cache), []);
      });
    });
  });
}

test("pull from a hub: an earlier pull's partial file is continued by the next", async () => {
  await withFolder(async (cache) => {
    const env = { PALIMPSEST_CACHE: cache };
    await withHub({ breakAfter: 100_000, breaks: 20 }, async (url) => {
      const ended = await palimpsest(wanted, { env: { ...env, HF_ENDPOINT: url } });
      assert.equal(ended.code, 5, ended.stdout);
      assert.equal(filesBelow(cache).length, 1);
    });
    await withHub({}, async (url, ranges) => {
      const ended = await palimpsest(wanted, { env: { ...env, HF_ENDPOINT: url } });
      assert.equal(ended.code, 0, ended.stdout);
      assert.ok(/^bytes=[1-9]\d+-1999999$/.test(ranges[0]!), ranges.join(" "));
      assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
    });
  });
});

/** A partial file of a process that is gone. */
async function leavePart(cache: string, bytes: Uint8Array): Promise<void> {
  const part = await claimPartial(join(cache, "models", ".partial"), sha256);
  writeFileSync(part.path, bytes);
  renameSync(part.path, part.path.replace(`.${process.pid}.`, ".999999999."));
}

test("pull from a hub: a partial file of other bytes is thrown away after one try", async () => {
  await withFolder(async (cache) => {
    await leavePart(cache, randomBytes(500_000));
    await withHub({}, async (url, ranges) => {
      const ended = await palimpsest(wanted, { env: { PALIMPSEST_CACHE: cache, HF_ENDPOINT: url } });
      assert.equal(ended.code, 0, ended.stdout);
      assert.deepEqual(ranges, ["bytes=500000-1999999", "whole"]);
    });
  });
});

test("pull from a hub: a server without ranges sends everything again", async () => {
  await withFolder(async (cache) => {
    await leavePart(cache, weights.subarray(0, 500_000));
    await withHub({ ignoresRanges: true }, async (url, ranges) => {
      const ended = await palimpsest(wanted, { env: { PALIMPSEST_CACHE: cache, HF_ENDPOINT: url } });
      assert.equal(ended.code, 0, ended.stdout);
      assert.deepEqual(ranges, ["bytes=500000-1999999", "whole"]);
    });
  });
});

test("pull from a hub: two at once both end with the model", async () => {
  await withFolder(async (cache) => {
    await withHub({}, async (url) => {
      const env = { PALIMPSEST_CACHE: cache, HF_ENDPOINT: url };
      const ended = await Promise.all([
        palimpsest(wanted, { env }),
        palimpsest(wanted, { env }),
        palimpsest(wanted, { env }),
      ]);
      for (const one of ended) assert.equal(one.code, 0, one.stdout + one.stderr);
      assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
    });
  });
});

test("pull from a hub: no server, no repository and no permission are exit 5 with a reason; HF_TOKEN is sent", async () => {
  await withFolder(async (cache) => {
    const pull = (env: Record<string, string>, name = wanted[1]!) =>
      palimpsest(["pull", name, "--json"], { env: { PALIMPSEST_CACHE: cache, ...env } });
    const nobody = await pull({ HF_ENDPOINT: "http://127.0.0.1:9" });
    assert.deepEqual([nobody.code, JSON.parse(nobody.stdout).code], [5, 5]);
    await withHub({ token: "secret" }, async (url) => {
      assert.match(
        (await pull({ HF_ENDPOINT: url, HF_TOKEN: "hf_wrong" })).stdout,
        /access denied, a token can be given in HF_TOKEN/,
      );
    });
    await withHub({ token: "hf_right" }, async (url) => {
      assert.equal((await pull({ HF_ENDPOINT: url, HF_TOKEN: "hf_right" })).code, 0);
      const missing = await pull({ HF_ENDPOINT: url, HF_TOKEN: "hf_right" }, "hf:owner/none:x.gguf");
      assert.equal(missing.code, 5);
      assert.match(missing.stdout, /no such repository or file/);
    });
  });
});

test("claimPartial: of two claims one gets the abandoned part, the other starts anew", async () => {
  await withFolder(async (folder) => {
    writeFileSync(join(folder, "key.999999999.part"), "half");
    writeFileSync(join(folder, "key.1.part"), "a live process's");
    const mine = await claimPartial(folder, "key");
    assert.equal(mine.size, 4);
    assert.deepEqual(filesBelow(folder), ["key.1.part", `key.${process.pid}.part`]);
  });
});
