import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { defaultPolicies } from "../../mod.ts";
import {
  type Ended,
  filesBelow,
  launcher,
  needsModel,
  palimpsest,
  pause,
  root,
  runtimes,
  type StartOptions,
  testModel,
} from "./helpers.ts";

// One cache for this file: the graph is prepared once, and that several processes share it is part of what is tested.
const folder = mkdtempSync(join(tmpdir(), "palimpsest-answer-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const cache = join(folder, "cache");
const short = join(folder, "short.md");
const long = join(folder, "long.txt");
writeFileSync(
  short,
  "# Log\n\nThe lighthouse keeper Orla Venn painted the door green on a Tuesday.\nThe sea was calm.\n",
);
const chapters = join(root, "node_modules", "@stdlib", "datasets-moby-dick", "data");
const chapter = (n: number) => JSON.parse(readFileSync(join(chapters, `chapter_${n}.json`), "utf8")).text as string;
writeFileSync(long, chapter(3).slice(0, 12_000));

const question = "What colour did Orla Venn paint the door?";
const run = (args: string[], options: StartOptions = {}): Promise<Ended> =>
  palimpsest(args, { ...options, env: { PALIMPSEST_CACHE: cache, PALIMPSEST_MODEL: testModel, ...options.env } });

test("two first runs at once share the cache and give the same answer", needsModel, async () => {
  const both = await Promise.all([run(["ask", short, question]), run(["ask", short, question])]);
  for (const one of both) assert.equal(one.code, 0, one.stderr);
  assert.equal(both[0].stdout, both[1].stdout);
  assert.deepEqual(filesBelow(cache).filter((name) => name.endsWith(".tmp")), []);
});

test("ask --json is the whole record, the same under Bun and Deno", needsModel, async () => {
  const records = [];
  for (const runtime of runtimes) {
    const ended = await run(["ask", "--json", short, question], { env: { PALIMPSEST_RUNTIME: runtime } });
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    const record = JSON.parse(ended.stdout);
    assert.deepEqual([record.schema, record.command, record.device.kind], ["palimpsest.answer/1", "ask", "cpu"]);
    assert.deepEqual(record.document.sources.map((one: { name: string; type: string }) => [one.name, one.type]), [[
      short,
      "markdown",
    ]]);
    assert.match(record.model.sha256, /^[0-9a-f]{64}$/);
    assert.equal(record.kv.compactions, 0);
    assert.ok(record.timing.peakRssBytes > 50e6);
    records.push(record.answer);
    const plain = await run(["ask", short, question], { env: { PALIMPSEST_RUNTIME: runtime } });
    assert.deepEqual([plain.stdout.trim(), plain.stderr], [record.answer, ""]);
    assert.ok(plain.stdout.endsWith("\n"));
  }
  assert.equal(records[0], records[1]);
});

test("a piped document and the same file give the same answer; - names stdin among files", needsModel, async () => {
  const file = await run(["ask", "-n", "24", short, question]);
  const piped = await run(["ask", "-n", "24", question], { stdin: readFileSync(short) });
  assert.deepEqual([piped.code, piped.stdout], [0, file.stdout]);
  const two = await run(["ask", "--json", "-n", "4", short, "-", question], { stdin: "The keeper left in May.\n" });
  assert.deepEqual(JSON.parse(two.stdout).document.sources.map((one: { name: string }) => one.name), [short, "stdin"]);
});

test("strategies: the same question answered from memory, looked up again, and part by part", needsModel, async () => {
  const page = join(folder, "page.txt");
  writeFileSync(
    page,
    `${chapter(3).slice(0, 1500)}\nThe lighthouse keeper Orla Venn painted the door green.\n${
      chapter(4).slice(0, 1500)
    }`,
  );
  const args = ["ask", "--json", "-n", "16", "--kv-budget", "128", "--chunk", "128", page, question];
  const verified = await run([...args, "--strategy", "stream+verify", "--cite"]);
  assert.deepEqual([verified.code, verified.stderr], [0, ""]);
  const { strategy, draft, answer, passages, citations } = JSON.parse(verified.stdout);
  assert.deepEqual([strategy, typeof draft], ["stream+verify", "string"]);
  assert.match(answer, /green/);
  for (const found of [passages, citations]) {
    assert.ok(found.some(({ text }: { text: string }) => text.includes("painted the door green")));
  }
  const mapped = await run([...args, "--strategy", "map-reduce"]);
  assert.deepEqual([mapped.code, mapped.stderr], [0, ""]);
  assert.ok(JSON.parse(mapped.stdout).parts > 4);
});

test("a document over the budget is compressed and said so; --strict refuses it with exit 4", needsModel, async () => {
  const args = ["--kv-budget", "512", "-n", "8", long, "Who is Queequeg?"];
  const ended = await run(["ask", "--verbose", "--json", ...args]);
  const { kv, document, policy } = JSON.parse(ended.stdout);
  assert.equal(policy.name, defaultPolicies.ask);
  assert.ok(document.tokens > 2500 && kv.budgetSlots === 512 && kv.compactions > 0 && kv.evictedSlots > 2000);
  assert.match(ended.stderr, /compressed into 512 slots/);
  const strict = await run(["ask", "--strict", ...args]);
  assert.equal(strict.code, 4);
  assert.match(strict.stderr, /does not fit/);
});

test("budgets that cannot work are exit 4 and say what would", needsModel, async () => {
  for (const budget of ["0", "10", "1K", "999999999999"]) {
    const ended = await run(["ask", "--positions", "original", "--kv-budget", budget, short, "Who?"]);
    assert.equal(ended.code, 4, `${budget}: ${ended.stderr}`);
    assert.match(ended.stderr, /\d/);
  }
});

test("bad documents are exit 3", needsModel, async () => {
  const [empty, blank, binary] = ["", " \n\t\n", "\x7fELF\0\0\0\0"].map((text, i) => {
    const path = join(folder, `bad${i}.txt`);
    writeFileSync(path, text);
    return path;
  }) as [string, string, string];
  for (const [path, says] of [[empty, /empty/], [blank, /white space/], [binary, /ELF/]] as const) {
    const ended = await run(["ask", "--json", path, "Who?"]);
    assert.equal(ended.code, 3, ended.stdout);
    assert.match(JSON.parse(ended.stdout).message, says);
  }
  assert.equal((await run(["ask", "Who?"], { stdin: "" })).code, 3);
  const latin = join(folder, "latin.txt");
  writeFileSync(latin, Buffer.from("Der K\xf6nig malte die T\xfcr gr\xfcn.\n", "latin1"));
  const warned = await run(["ask", "-v", "-n", "4", latin, "Who?"]);
  assert.equal(warned.code, 0);
  assert.match(warned.stderr, /latin\.txt is not UTF-8 and read as windows-1252/);
});

test("damaged models are exit 5", needsModel, async () => {
  const head = readFileSync(testModel).subarray(0, 2_000_000);
  const corrupt = Buffer.from(head);
  corrupt.fill(255, 8, 200);
  for (
    const [name, bytes] of [["truncated", head], ["corrupt", corrupt], ["empty", ""], ["text", "not a model"]] as const
  ) {
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, bytes);
    const ended = await run(["ask", "-m", path, short, "Who?"]);
    assert.equal(ended.code, 5, `${name}: ${ended.stderr}`);
    assert.equal(ended.stderr.trimEnd().split("\n").length, 1);
  }
});

test("summarize writes about the length it was asked for", needsModel, async () => {
  const ended = await run(["summarize", "--json", "--length", "20", short]);
  const record = JSON.parse(ended.stdout);
  assert.deepEqual([ended.code, record.command, record.policy.name], [0, "summarize", "coverage"]);
  assert.ok(record.timing.decodeTokens <= 20 * 2 + 64);
});

test("plan counts the same tokens as ask and runs nothing", needsModel, async () => {
  const args = ["--kv-budget", "512", long];
  const planned = JSON.parse((await run(["plan", "--json", ...args])).stdout);
  const asked = JSON.parse((await run(["ask", "--json", "-n", "1", ...args, "Who is Queequeg?"])).stdout);
  assert.deepEqual([planned.schema, planned.fits, planned.document.tokens], [
    "palimpsest.plan/1",
    false,
    asked.document.tokens,
  ]);
  assert.deepEqual([planned.kv.budgetSlots, planned.kv.compactions, planned.kv.positions], [
    512,
    asked.kv.compactions,
    asked.kv.positions,
  ]);
  const plain = await run(["plan", short]);
  assert.match(plain.stdout, /everything stays/);
  assert.equal((await run(["plan", "--strict", ...args])).code, 4);
});

for (const runtime of runtimes) {
  const env = { PALIMPSEST_RUNTIME: runtime };

  test(`closed pipe under ${runtime}: 141, and silence`, needsModel, async () => {
    const ended = await run(["ask", short, "Tell the story again, at length."], {
      env,
      started: (child) => child.stdout!.destroy(),
    });
    assert.deepEqual([ended.code, ended.stderr], [141, ""]);
  });

  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    test(
      `${signal} while reading under ${runtime}: exit ${code} within 3 seconds, nothing half-written`,
      needsModel,
      async () => {
        let sent = 0;
        const ended = await run(["ask", "--verbose", "--chunk", "256", long, "Who?"], {
          env,
          started: (child) => void pause(1800).then(() => (sent = performance.now(), child.kill(signal))),
        });
        const took = performance.now() - sent;
        assert.equal(ended.code, code, ended.stderr);
        assert.equal(ended.stdout, "");
        assert.ok(took < 3000, `${took.toFixed(0)} ms`);
        assert.deepEqual(filesBelow(cache).filter((name) => name.endsWith(".tmp")), []);
      },
    );
  }

  test(
    `SIGINT while writing under ${runtime}: the finished text stays and ends with a newline`,
    needsModel,
    async () => {
      const ended = await run(["ask", "-n", "2000", short, "Write a very long story about the keeper."], {
        env,
        started: (child) => child.stdout!.once("data", () => void pause(200).then(() => child.kill("SIGINT"))),
      });
      assert.equal(ended.code, 130);
      assert.match(ended.stdout, /^\S[^]*\n$/);
      assert.equal(ended.stderr, "");
    },
  );
}

test("SIGINT under --json is an error object with code 130", needsModel, async () => {
  const ended = await run(["ask", "--json", "--chunk", "256", long, "Who?"], {
    started: (child) => void pause(1800).then(() => child.kill("SIGINT")),
  });
  assert.deepEqual([ended.code, JSON.parse(ended.stdout).code], [130, 130]);
});

test("stdin that never ends is read as it arrives", needsModel, async () => {
  // A slow pipe: the first chunk is read before the rest has come.
  const child = spawn(launcher, ["ask", "-v", "-n", "4", "--chunk", "64", "Who?"], {
    env: { ...process.env, PALIMPSEST_CACHE: cache, PALIMPSEST_MODEL: testModel },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.write(chapter(1).slice(0, 3000));
  await pause(1500);
  child.stdin.end(chapter(1).slice(3000, 4000));
  const code = await new Promise((done) => child.on("close", done));
  assert.equal(code, 0);
});

const mountable = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "-o", "size=1M", "none", "/mnt"]).status === 0;
const needsDisk = {
  skip: needsModel.skip || (mountable ? false as const : "a small file system cannot be mounted here"),
};

test("a full disk for the cache is one sentence, exit 1, and leaves nothing half made", needsDisk, () => {
  // What stays is the hash of a model that has been on the disk for a while: it is small, whole and right.
  const shell =
    `mount -t tmpfs -o size=8M none /mnt; "$1" ask "$2" "Who?"; echo "code $?"; find /mnt -type f ! -name hashes.json | wc -l`;
  const ended = spawnSync("unshare", ["-rm", "sh", "-c", shell, "sh", launcher, short], {
    encoding: "utf8",
    env: { ...process.env, PALIMPSEST_CACHE: "/mnt/cache", PALIMPSEST_MODEL: testModel },
  });
  assert.match(ended.stderr, /^palimpsest: Cannot write to \/mnt\/cache.*the disk is full/);
  assert.equal(ended.stdout, "code 1\n0\n");
});
