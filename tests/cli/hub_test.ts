/** `pull` from a hub: the command as a process against a hub on this machine. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { claimPartial, sweepOld } from "../../cli/sources/partial.ts";
import { writeFolder } from "../golden/as_folder.ts";
import { fixture } from "../host.ts";
import { filesBelow, palimpsest, runtimes, type StartOptions, withFolder } from "./helpers.ts";
import {
  type Behaviour,
  commit,
  type Files,
  ggufBytes,
  gitHashOf,
  type LocalHub,
  sha256Of,
  weights,
  withHub,
} from "./hub_server.ts";

const sha256 = sha256Of(weights), tiny = "hf:owner/tiny:tiny.gguf";

/** What `pull` is given to try. */
interface Pulling {
  cache: string;
  hub: LocalHub;
  pull: (name?: string, env?: Record<string, string>, more?: StartOptions & { flags?: string[] }) => Promise<Pulled>;
}

interface Pulled {
  code: number | null;
  // deno-lint-ignore no-explicit-any
  told: any;
  stderr: string;
}

function withPull(behaviour: Behaviour, use: (pulling: Pulling) => Promise<void>, runtime = "bun"): Promise<void> {
  return withFolder((folder) =>
    withHub(behaviour, async (hub) => {
      const cache = join(folder, "cache");
      await use({
        cache,
        hub,
        pull: async (name = tiny, env = {}, { flags = [], ...more } = {}) => {
          const { code, stdout, stderr } = await palimpsest(["pull", name, "--json", ...flags], {
            env: {
              PALIMPSEST_CACHE: cache,
              PALIMPSEST_RUNTIME: runtime,
              HF_ENDPOINT: hub.url,
              HF_HOME: join(folder, "hf"),
              HF_TOKEN: "",
              ...env,
            },
            ...more,
          });
          return { code, told: JSON.parse(stdout || "{}"), stderr };
        },
      });
    })
  );
}

/** Refused with exit 5, a sentence, and nothing left behind. */
async function refused(behaviour: Behaviour, message: RegExp, name = tiny, env: Record<string, string> = {}) {
  await withPull(behaviour, async ({ cache, pull }) => {
    const { code, told } = await pull(name, env);
    assert.match(told.message ?? "", message);
    assert.deepEqual([code, told.code], [5, 5]);
    assert.deepEqual(filesBelow(cache), []);
  });
}

for (const runtime of runtimes) {
  test(`pull from a hub under ${runtime}: verified and stored with its commit, the token stays with the hub; a second pull asks nobody`, () =>
    withPull({ token: "hf_right" }, async ({ cache, hub, pull }) => {
      const { code, told, stderr } = await pull(tiny, { HF_TOKEN: "hf_right" }, { flags: ["--verbose"] });
      assert.equal(code, 0, told.message + stderr);
      assert.deepEqual([told.schema, told.downloaded, told.model.name, told.model.sha256], [
        "palimpsest.pull/1",
        true,
        "tiny",
        sha256,
      ]);
      assert.deepEqual(told.model.hub, { repository: "owner/tiny", file: "tiny.gguf", revision: "main", commit });
      assert.equal(sha256Of(readFileSync(told.model.path)), sha256);
      assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
      const sent = (
        host: string,
      ) => [...new Set(hub.seen.filter((one) => one.host === host).map((one) => one.authorization))];
      assert.deepEqual([sent("hub"), sent("cdn")], [["Bearer hf_right"], [undefined]]);
      assert.ok(!stderr.includes("hf_right"));
      const again = await pull(tiny, { HF_ENDPOINT: "http://127.0.0.1:9", HF_HUB_OFFLINE: "1" });
      assert.deepEqual([again.code, again.told.downloaded], [0, false]);
    }, runtime));

  test(`pull from a hub under ${runtime}: a connection that breaks is taken up where it ended`, () =>
    withPull({ breakAfter: 1_100_000, busy: 1 }, async ({ hub, pull }) => {
      const { code, told } = await pull();
      assert.equal(code, 0, told.message);
      assert.equal(sha256Of(readFileSync(told.model.path)), sha256);
      assert.ok(hub.ranges.length >= 3 && /^bytes=[1-9]\d+-1999999$/.test(hub.ranges[2]!), hub.ranges.join(" "));
    }, runtime));
}

test("pull from a hub under deno: wrong bytes and no server are exit 5 with a sentence", async () => {
  await withPull({ states: "0".repeat(64) }, async ({ cache, pull }) => {
    const wrong = await pull();
    assert.match(wrong.told.message, /^tiny\.gguf has SHA-256 [0-9a-f]{64}, but 0{64} was expected: not kept$/);
    assert.deepEqual([wrong.code, filesBelow(cache)], [5, []]);
    const nobody = await pull("hf:owner/other", { HF_ENDPOINT: "http://127.0.0.1:4" });
    assert.match(nobody.told.message, /^Cannot reach 127\.0\.0\.1:4: the connection was refused$/);
    assert.equal(nobody.code, 5);
  }, "deno");
});

const large = ggufBytes(20 << 20), largeTiny = { repositories: { "owner/tiny": { "tiny.gguf": large } } };

test("pull from a hub: large files come by several ranges at once", () =>
  withPull(largeTiny, async ({ hub, pull }) => {
    const { told } = await pull();
    assert.equal(sha256Of(readFileSync(told.model.path)), sha256Of(large), told.message);
    assert.equal(hub.ranges.length, 4);
    assert.ok(hub.ranges.includes(`bytes=15728640-${large.length - 1}`), hub.ranges.join(" "));
  }));

test("pull from a hub: breaking again and again on all connections is exit 5; the next pull goes on where they ended", () =>
  withPull({ ...largeTiny, breakAfter: 100_000, breaks: 24 }, async ({ cache, hub, pull }) => {
    const broken = await pull();
    assert.equal(broken.code, 5);
    assert.match(
      broken.told.message,
      /^The connection to localhost:\d+ (broke: \S.*|ended after .*); 2\.\d MiB of 20\.0 MiB are kept, the same command goes on there$/,
    );
    assert.deepEqual(filesBelow(cache), ["bytes", "done.json"]);
    hub.ranges.length = 0;
    const ended = await pull();
    assert.equal(sha256Of(readFileSync(ended.told.model?.path)), sha256Of(large), ended.told.message);
    assert.ok(!hub.ranges.some((range) => /^bytes=0-/.test(range)), hub.ranges.join(" "));
    assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
  }));

test("pull from a hub: after Ctrl-C the bytes are kept and the next pull goes on there", () =>
  withPull({ breakAfter: 600_000, breaks: 4 }, async ({ cache, hub, pull }) => {
    const stopped = await pull(tiny, {}, {
      started: (child) => {
        const waiting = setInterval(() => {
          if (hub.ranges.length < 3) return;
          clearInterval(waiting);
          child.kill("SIGINT");
        }, 10);
      },
      flags: ["--verbose"],
    });
    assert.equal(stopped.code, 130);
    assert.match(stopped.stderr, /[\d.]+ .iB of 1\.9 MiB are kept, the same command goes on there/);
    assert.deepEqual(filesBelow(cache), ["bytes", "done.json"]);
    const { code, told } = await pull();
    assert.equal(code, 0, told.message);
    assert.match(hub.ranges.at(-1)!, /^bytes=[1-9]\d+-1999999$/);
  }));

/** A partial file of a process that is gone. */
async function leavePart(cache: string, bytes: Uint8Array, etag: string | null = null): Promise<void> {
  const part = await claimPartial(join(cache, "models", ".partial"), `${sha256}-tiny.gguf`, weights.length);
  writeFileSync(part.path, bytes);
  part.add([0, bytes.length]);
  part.etag = etag;
  await part.save();
  const folder = join(part.path, "..");
  renameSync(folder, folder.replace(`.${process.pid}.`, ".999999999."));
}

test("pull from a hub: a partial file of other bytes is thrown away after one try", () =>
  withPull({}, async ({ cache, hub, pull }) => {
    await leavePart(cache, ggufBytes(500_000));
    assert.equal((await pull()).code, 0);
    assert.deepEqual(hub.ranges, ["bytes=500000-1999999", "bytes=0-1999999"]);
  }));

test("pull from a hub: a server without ranges, or with another file than before, sends everything again", async () => {
  await withPull({ ignoresRanges: true }, async ({ cache, hub, pull }) => {
    await leavePart(cache, weights.subarray(0, 500_000));
    assert.equal((await pull()).code, 0);
    assert.deepEqual(hub.ranges, ["bytes=500000-1999999", "whole"]);
  });
  await withPull({ etag: "new" }, async ({ cache, hub, pull }) => {
    await leavePart(cache, weights.subarray(0, 500_000), "old");
    assert.equal((await pull()).code, 0);
    assert.deepEqual(hub.ranges, ["bytes=500000-1999999", "whole"]);
  });
});

test("pull from a hub: two at once both end with the model", () =>
  withPull({}, async ({ cache, pull }) => {
    const ended = await Promise.all([pull(), pull()]);
    assert.deepEqual(ended.map((one) => one.code), [0, 0], ended.map((one) => one.told.message).join());
    assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
  }));

const several: Files = {
  "a-Q8_0.gguf": ggufBytes(150_000),
  "a-Q4_K_M.gguf": ggufBytes(120_000),
  "a-IQ2_M.gguf": ggufBytes(110_000),
};
several["mmproj-F16.gguf"] = ggufBytes(100_000);
several["README.md"] = new TextEncoder().encode("text");

test("pull hf:owner/name: the best quantisation is taken and the others are named; a revision is pinned; a name is not taken twice", () => {
  const other = "f".repeat(40), revisions = { main: commit, "v1.0": other };
  const repositories = { "owner/a": several, "else/b": { "a-Q8_0.gguf": several["a-Q4_K_M.gguf"]! } };
  return withPull({ repositories, revisions }, async ({ cache, pull }) => {
    const best = await pull("hf:owner/a", {}, { flags: ["--verbose"] });
    assert.deepEqual([best.code, best.told.model?.name], [0, "a-q8_0"], best.told.message);
    assert.match(
      best.stderr,
      /owner\/a has 3 GGUF files, a-Q8_0\.gguf \(146 KiB\) is taken; the others: a-Q4_K_M\.gguf, a-IQ2_M\.gguf/,
    );
    const again = await pull("hf:owner/a", { HF_ENDPOINT: "http://127.0.0.1:9" });
    assert.deepEqual([again.told.downloaded, again.told.model.path], [false, best.told.model.path]);
    const small = await pull("hf:owner/a:q4_k_m@v1.0");
    assert.deepEqual(small.told.model?.hub, {
      repository: "owner/a",
      file: "a-Q4_K_M.gguf",
      revision: "v1.0",
      commit: other,
    });
    assert.match(
      readFileSync(join(cache, "models", "a-q4_k_m", "model.json"), "utf8"),
      new RegExp(`"commit": "${other}"`),
    );
    const taken = await pull("hf:else/b");
    assert.equal(taken.code, 2);
    assert.match(
      taken.told.message,
      /The name a-q8_0 is taken by a model from hub owner\/a a-Q8_0\.gguf at 0123456789ab: --as/,
    );
    assert.equal((await pull("hf:else/b", {}, { flags: ["--as", "b"] })).told.model?.name, "b");
  });
});

test("pull from a hub: what it lacks, guards or means otherwise is one sentence with the near name", async () => {
  const repositories = { "owner/tiny": { "tiny.gguf": weights }, "owner/a": several };
  await refused(
    { repositories },
    /^127\.0\.0\.1:\d+ has no repository owner\/tyni, did you mean owner\/tiny\? A private one needs a token in HF_TOKEN$/,
    "hf:owner/tyni",
  );
  await refused({ repositories }, /has no file tyni\.gguf, did you mean tiny\.gguf\?$/, "hf:owner/tiny:tyni.gguf");
  await refused(
    { repositories },
    /has no file Q6_K: it has a-IQ2_M\.gguf, a-Q4_K_M\.gguf, a-Q8_0\.gguf$|did you mean/,
    "hf:owner/a:Q6_K",
  );
  await refused({ repositories }, /owner\/tiny has no revision mian, did you mean main\?$/, `${tiny}@mian`);
  await refused(
    { gated: ["owner/tiny"] },
    /is gated: accept its conditions at \S+\/owner\/tiny, then give a token in HF_TOKEN$/,
  );
  await refused(
    { gated: ["owner/tiny"], token: "hf_other" },
    /is gated, and the token from HF_TOKEN has no access: ask for it at/,
    tiny,
    { HF_TOKEN: "hf_mine" },
  );
  await refused(
    { token: "hf_other" },
    /does not accept the token from HF_TOKEN: \S+\/settings\/tokens makes another$/,
    tiny,
    {
      HF_TOKEN: "hf_mine",
    },
  );
});

test("pull from a hub: files that are no whole model of ours are refused before they are fetched", async () => {
  const one = (files: Files): Behaviour => ({ repositories: { "owner/tiny": files } });
  const part = ggufBytes(100_000);
  await refused(
    one({ "m-Q8_0-00001-of-00002.gguf": part, "m-Q8_0-00002-of-00002.gguf": part }),
    /^m-Q8_0-00001-of-00002\.gguf of owner\/tiny is one of 2 parts, .* llama-gguf-split --merge/,
    "hf:owner/tiny",
  );
  await refused(
    one({ "tiny.gguf": ggufBytes(200_000, "mamba") }),
    /is of the architecture "mamba", which cannot be run: llama/,
  );
  await refused(one({ "tiny.gguf": new Uint8Array(200_000) }), /^tiny\.gguf is not a GGUF file/);
  await refused(
    one({ "pytorch_model.bin": part, "config.json": part.subarray(0, 9) }),
    /has no safetensors weights, only pickled/,
    "hf:owner/tiny",
  );
  await refused(
    { lists: 2_000_001 },
    /^tiny\.gguf has 2000000 bytes on the server, but the hub lists 2000001: not fetched$/,
  );
  const url = "http://127.0.0.1:9/never";
  await refused({ redirects: `${url}` }, /Cannot reach 127\.0\.0\.1:9/);
  await refused({ redirects: "/loop" }, /^127\.0\.0\.1:\d+ redirects in a circle$/);
  await refused({ redirects: "ftp://x/" }, /redirects to nowhere/);
});

test("pull from a hub: a file that the disk cannot hold is exit 1 before it is fetched", () =>
  withPull({ lists: 2 ** 52 }, async ({ cache, hub, pull }) => {
    const { code, told } = await pull();
    assert.match(
      told.message,
      /models: 4096 TiB are to come and the disk has .* free\. Free some space or set PALIMPSEST_CACHE/,
    );
    assert.deepEqual([code, hub.ranges, filesBelow(cache)], [1, [], []]);
  }));

test("pull: names, addresses and tokens that cannot be are exit 2 before anything is asked; no token is shown", () =>
  withPull({}, async ({ hub, pull }) => {
    for (
      const [name, env, message] of [
        ["hf:owner/tiny:../../x.gguf", {}, /leaves the repository/],
        ["hf:../tiny:x.gguf", {}, /is not an owner and a name; hf:owner\/name\[:file\]\[@revision\] works/],
        [`${tiny}@../x`, {}, /is no branch, tag or commit/],
        [tiny, { HF_ENDPOINT: "ftp://user:secret@x" }, /^HF_ENDPOINT must be the address of a hub, [^@]*$/],
        [
          tiny,
          { HF_TOKEN: "hf_se cret\nx" },
          /^The token in HF_TOKEN has characters that no token has: it must be one word$/,
        ],
      ] as [string, Record<string, string>, RegExp][]
    ) {
      const { code, told } = await pull(name, env);
      assert.match(told.message, message);
      assert.equal(code, 2);
    }
    assert.deepEqual(hub.seen, []);
  }));

/** The cache of the hub's own tools, with these files. */
function fillHubCache(home: string, files: Files, name = "models--owner--tiny"): string {
  const folder = join(home, "hub", name), snapshot = join(folder, "snapshots", commit);
  for (const sub of ["blobs", "refs", join("snapshots", commit)]) mkdirSync(join(folder, sub), { recursive: true });
  writeFileSync(join(folder, "refs", "main"), commit);
  for (const [path, bytes] of Object.entries(files)) {
    const blob = join(folder, "blobs", bytes.length < 100_000 ? gitHashOf(bytes) : sha256Of(bytes));
    writeFileSync(blob, bytes);
    if (!existsSync(join(snapshot, path))) symlinkSync(blob, join(snapshot, path));
  }
  return join(folder, "blobs");
}

test("pull takes what the hub's own cache has, with HF_HUB_OFFLINE too; a damaged copy there does not win and is not touched", () =>
  withPull({}, async ({ cache, hub, pull }) => {
    const home = join(cache, "..", "hf"), blob = join(fillHubCache(home, { "tiny.gguf": weights }), sha256);
    const offline = await pull("hf:owner/tiny", { HF_HUB_OFFLINE: "1" });
    assert.deepEqual([offline.code, offline.told.model?.sha256, hub.seen], [0, sha256, []], offline.told.message);
    const online = await pull(tiny, {}, { flags: ["--force"] });
    assert.deepEqual([online.code, hub.ranges], [0, []]);
    const damaged = Uint8Array.from(weights).fill(0, 1000, 2000);
    renameSync(blob, `${blob}.whole`);
    writeFileSync(blob, damaged);
    const refusedOffline = await pull("hf:owner/tiny", { HF_HUB_OFFLINE: "1" }, { flags: ["--force"] });
    assert.match(
      refusedOffline.told.message,
      /Cannot fetch tiny\.gguf of owner\/tiny: the hub's cache has no whole copy of it/,
    );
    const fetched = await pull(tiny, {}, { flags: ["--force", "--verbose"] });
    assert.match(fetched.stderr, /The hub's cache has a damaged copy of tiny\.gguf, which is not used/);
    assert.equal(sha256Of(readFileSync(fetched.told.model.path)), sha256);
    assert.ok(readFileSync(blob).equals(damaged) && hub.ranges.length === 1);
    const missing = await pull("hf:owner/none", { HF_HUB_OFFLINE: "1" });
    assert.match(
      missing.told.message,
      /owner\/none at main is not in the hub's cache, and HF_HUB_OFFLINE forbids to fetch it/,
    );
  }));

test("pull goes through the proxy that the environment names", () =>
  withPull({}, async ({ hub, pull }) => {
    for (const runtime of runtimes) {
      const env = {
        HF_ENDPOINT: "http://hub.invalid",
        HTTP_PROXY: hub.url,
        http_proxy: "",
        NO_PROXY: "",
        no_proxy: "",
        PALIMPSEST_RUNTIME: runtime,
      };
      hub.seen.length = 0;
      await pull("hf:owner/tiny", env);
      assert.ok(hub.seen.some(({ url }) => url.startsWith("http://hub.invalid/api/models/owner/tiny/")), runtime);
    }
  }));

test("pull hf:owner/name of a safetensors repository: config, tokenizer, index and its shards become one model that needs no network", () =>
  withFolder(async (made) => {
    await writeFolder(fixture("golden/models/llama"), made, { dtype: "F32", shards: 2 });
    const files: Files = { "README.md": new Uint8Array(9), "model-00009-of-00009.safetensors": new Uint8Array(9) };
    for (const name of readdirSync(made)) files[name] = readFileSync(join(made, name));
    const whole = readdirSync(made).filter((name) => name !== "README.md").sort();
    await withPull({ repositories: { "tiny/Llama": files } }, async ({ cache, hub, pull }) => {
      const { code, told } = await pull("hf:tiny/Llama");
      assert.deepEqual([code, told.model?.name, told.model?.hub.file], [0, "llama", null], told.message);
      assert.deepEqual(filesBelow(cache), [...whole, "model.json"].sort());
      assert.ok(!hub.seen.some(({ url }) => url.includes("README") || url.includes("00009")));
      const text = join(cache, "text.txt");
      writeFileSync(text, "The harbour keeps two cranes. ".repeat(9));
      for (const model of ["llama", told.model.path]) {
        const planned = await palimpsest(["plan", "--json", "-m", model, "--device", "cpu", text], {
          env: { PALIMPSEST_CACHE: cache },
        });
        assert.equal(JSON.parse(planned.stdout).model?.sha256, told.model.sha256, planned.stdout);
      }
      assert.equal((await pull("hf:tiny/Llama@main")).told.downloaded, false);
      const forced = await pull("hf:tiny/Llama:model.safetensors.index.json", {}, { flags: ["--force"] });
      assert.deepEqual([forced.code, forced.told.model?.path], [0, told.model.path], forced.told.message);
    });
    const withText = (name: string, text: string): Behaviour => ({
      repositories: { "tiny/Llama": { ...files, [name]: new TextEncoder().encode(text) } },
    });
    const refusedAfterSmall = (behaviour: Behaviour, message: RegExp) =>
      withPull(behaviour, async ({ hub, pull }) => {
        const { code, told } = await pull("hf:tiny/Llama");
        assert.match(told.message ?? "", message);
        assert.equal(code, 5);
        assert.ok(!hub.seen.some(({ url }) => url.includes("-of-0000")));
      });
    await refusedAfterSmall(
      withText("model.safetensors.index.json", '{"weight_map":{"a":"../../x.safetensors"}}'),
      /names "\.\.\/\.\.\/x\.safetensors", which is no file of weights beside it$/,
    );
    await refusedAfterSmall(
      withText("config.json", '{"model_type":"mamba"}'),
      /tiny\/Llama\/config\.json: model_type is "mamba"; llama/,
    );
    delete files["tokenizer.json"];
    await refused(
      { repositories: { "tiny/Llama": files } },
      /tiny\/Llama has no tokenizer\.json: one with GGUF files/,
      "hf:tiny/Llama",
    );
  }));

test("sweepOld: partial downloads and temporary files that nobody has wanted for two weeks go, others stay", () =>
  withFolder(async (folder) => {
    const partials = join(folder, ".partial"), now = Date.now();
    for (const name of ["a.999999999.part", `b.${process.pid}.part`]) {
      mkdirSync(join(partials, name), { recursive: true });
      writeFileSync(join(partials, name, "done.json"), name);
    }
    writeFileSync(join(folder, ".x.gguf.999999999-1-abc.tmp"), "");
    const days = (count: number) => sweepOld(folder, partials, now + count * 24 * 3600 * 1000);
    await days(13);
    assert.equal(filesBelow(folder).length, 3);
    await days(15);
    assert.deepEqual(readdirSync(partials), [`b.${process.pid}.part`]);
    assert.deepEqual(filesBelow(folder), ["done.json"]);
  }));
