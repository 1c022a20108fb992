/** `batch` with the tiny model: shards, kill -9, resuming, errors, and who may write. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseManifest, parseShard, takes } from "../../cli/batch/manifest.ts";
import { filesBelow, palimpsest, pause, root, type StartOptions, withFolder } from "./helpers.ts";

const model = join(root, "fixtures", "gguf", "llama.q8_0.gguf");
type Result = Record<string, unknown> & { id: string; schema: string };
const resultsOf = (text: string): Result[] => text.trimEnd().split("\n").map((line) => JSON.parse(line));
const ids = (results: Result[]) => results.map((one) => one.id).sort();

/** A folder with `count` documents and a manifest that asks about each. */
function prepared(folder: string, count: number): { all: string[]; run: typeof palimpsest; lines: object[] } {
  mkdirSync(join(folder, "docs"));
  const lines = Array.from({ length: count }, (_, i) => {
    writeFileSync(join(folder, "docs", `${i}.txt`), `Document ${i}. The door of house ${i} is green.\n`);
    return { id: `doc-${i}`, documents: [`docs/${i}.txt`], question: "Which door?" };
  });
  writeFileSync(join(folder, "manifest.jsonl"), lines.map((line) => JSON.stringify(line) + "\n").join(""));
  const run = (args: string[], options: StartOptions = {}) =>
    palimpsest(["batch", "manifest.jsonl", "-m", model, "--threads", "1", ...args], {
      cwd: folder,
      ...options,
      env: { PALIMPSEST_CACHE: join(folder, "cache"), ...options.env },
    });
  return { all: lines.map((line) => line.id).sort(), run, lines };
}

test("takes: each id belongs to exactly one shard, whatever stands around it, and shards are about equal", () => {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 2000; i++) {
    const shards = counts.flatMap((_, at) => takes({ index: at + 1, count: 4 }, `doc-${i}`) ? [at] : []);
    assert.equal(shards.length, 1);
    counts[shards[0]!]!++;
  }
  for (const count of counts) assert.ok(count > 430 && count < 570, counts.join(" "));
  assert.deepEqual(parseShard("2/8"), { index: 2, count: 8 });
  for (const bad of ["0/4", "5/4", "1", "1/0", "a/b", "-1/4"]) assert.equal(parseShard(bad), null, bad);
});

test("parseManifest: what a line must be is said with its number", () => {
  const refused: [string, RegExp][] = [
    ["", /m has no line/],
    ["{}", /m, line 1: id must be a text, it is missing/],
    ["\n[1]", /line 2 must be a JSON object/],
    ['{"id":"a"', /line 1 is not JSON/],
    ['{"id":"a","documents":[],"question":"Q"}', /documents must be a list of texts, current value is \[\]/],
    ['{"id":"a","documents":["-"],"question":"Q"}', /files, and no stdin/],
    ['{"id":"a","documents":["d"]}', /question must be a text, it is missing/],
    ['{"id":"a","documents":["d"],"question":"Q","questions":["R"]}', /questions must be alone/],
    ['{"id":"a","documents":["d"],"command":"translate"}', /command must be "ask" or "summarize"/],
    ['{"id":"a","documents":["d"],"command":"summarize","question":"Q"}', /where there is a question/],
    ['{"id":"a","documents":["d"],"command":"summarize","length":0}', /length must be a whole number/],
    ['{"id":"a","documents":["d"],"question":"Q"}\n{"id":"a","documents":["e"],"question":"Q"}', /line 2 .* of line 1/],
  ];
  for (const [text, says] of refused) assert.throws(() => parseManifest(text, "m"), says);
});

test("batch: 200 documents over 4 shards, one killed (kill -9) and run again: complete, without duplicates", () =>
  withFolder(async (folder) => {
    const { all, run } = prepared(folder, 200);
    const shard = (i: number, options: StartOptions = {}) =>
      run(["-n", "12", "--shard", `${i}/4`, "--out", `r${i}.jsonl`], options);
    const written = (i: number) =>
      existsSync(join(folder, `r${i}.jsonl`)) ? readFileSync(join(folder, `r${i}.jsonl`), "utf8") : "";
    let killing: Promise<void> | undefined;
    const killed = await shard(2, {
      started: (child) => {
        killing = (async () => {
          while (written(2).split("\n").length < 6) await pause(2);
          const second = await shard(2); // while the first one runs
          assert.equal(second.code, 1, "two may not write to one file");
          assert.match(second.stderr, /Another run writes these results \(process \d+ on .*\).* --out of its own/);
        })().finally(() => child.kill("SIGKILL"));
      },
    });
    await killing;
    assert.equal(killed.code, null);
    assert.ok(existsSync(join(folder, "r2.jsonl.lock")), "a killed run leaves its lock");
    const before = resultsOf(written(2).slice(0, written(2).lastIndexOf("\n")));
    assert.ok(before.length >= 5 && before.length < 45, `killed in the middle, after ${before.length}`);
    appendFileSync(join(folder, "r2.jsonl"), '{"id":"doc-1","key":"torn');

    const ended = await Promise.all([1, 2, 3, 4].map((i) => shard(i)));
    assert.deepEqual(ended.map(({ code, stderr }) => [code, stderr]), Array(4).fill([0, ""]));
    const merged = resultsOf([1, 2, 3, 4].map(written).join(""));
    assert.equal(merged.length, 200);
    assert.deepEqual(ids(merged), all);
    assert.deepEqual(resultsOf(written(2)).slice(0, before.length), before, "what was there is not asked again");
    assert.deepEqual(filesBelow(folder).filter((name) => /\.(lock|tmp)$/.test(name)), []);
  }));

test("batch: errors stop no other line, are exit 7 and tried again; changed lines and settings, too", () =>
  withFolder(async (folder) => {
    const { run, lines } = prepared(folder, 3);
    const manifest = (more: object[]) =>
      writeFileSync(join(folder, "manifest.jsonl"), [...lines, ...more].map((one) => JSON.stringify(one)).join("\n"));
    manifest([
      { id: "gone", documents: ["docs/gone.txt"], question: "Which door?" },
      { id: "two", documents: ["docs/0.txt", "docs/1.txt"], questions: ["Which door?", "Whose?"] },
      { id: "sum", documents: ["docs/0.txt"], command: "summarize", length: 10 },
    ]);
    const out = join(folder, "r.jsonl");
    const go = (...flags: string[]) => run(["-n", "4", "--json", "--out", "r.jsonl", ...flags]);
    const dash = await run(["--out", "-"]);
    assert.deepEqual([dash.code, /--out - is no file: without --out/.test(dash.stderr)], [2, true], dash.stderr);
    const counted = (ended: { stdout: string }) => {
      const { answered, failed, skipped } = JSON.parse(ended.stdout);
      return { answered, failed, skipped };
    };
    const first = await go();
    assert.deepEqual([first.code, counted(first)], [7, { answered: 5, failed: 1, skipped: 0 }]);
    const results = resultsOf(readFileSync(out, "utf8")), of = (id: string) => results.find((one) => one.id === id)!;
    assert.deepEqual([of("gone").schema, of("gone").code], ["palimpsest.error/1", 3]);
    assert.match(String(of("gone").message), /docs\/gone\.txt: no such file/);
    assert.deepEqual([of("sum").schema, of("sum").command], ["palimpsest.answer/1", "summarize"]);
    const answers = of("two").answers as { question: string; document: { sources: unknown[] } }[];
    assert.deepEqual(answers.map((one) => [one.question, one.document.sources.length]), [["Which door?", 2], [
      "Whose?",
      2,
    ]]);

    writeFileSync(join(folder, "docs", "gone.txt"), "Here again.\n");
    assert.deepEqual(counted(await go()), { answered: 1, failed: 0, skipped: 5 });
    assert.deepEqual(counted(await go()), { answered: 0, failed: 0, skipped: 6 });
    truncateSync(out, readFileSync(out).length - 40); // as if it had been cut off
    assert.deepEqual(counted(await go()), { answered: 1, failed: 0, skipped: 5 });
    assert.deepEqual(counted(await go("--kv-budget", "512")), { answered: 6, failed: 0, skipped: 0 });
    manifest([{ id: "two", documents: ["docs/0.txt"], question: "Which door?" }]);
    assert.deepEqual(counted(await go("--kv-budget", "512")), { answered: 1, failed: 0, skipped: 3 });
    assert.deepEqual(ids(resultsOf(readFileSync(out, "utf8"))), ["doc-0", "doc-1", "doc-2", "gone", "sum", "two"]);

    const bare = await run(["-n", "2"]);
    assert.deepEqual([bare.code, ids(resultsOf(bare.stdout))], [0, ["doc-0", "doc-1", "doc-2", "two"]]);
    const late = await run(["-n", "100000", "--timeout", "150ms", "--shard", "1/1"]);
    assert.deepEqual([late.code, resultsOf(late.stdout).length], [7, 4]);
    assert.ok(resultsOf(late.stdout).some((one) => one.code === 124), late.stdout); // a random model may stop by itself
  }));

test("batch under deno: it answers, and a lock of another machine counts while it is touched", () =>
  withFolder(async (folder) => {
    const { run } = prepared(folder, 1), env = { PALIMPSEST_RUNTIME: "deno" };
    const lock = join(folder, "r.jsonl.lock");
    const holder = { token: "t", host: "elsewhere", space: "", pid: 1, started: "1" };
    writeFileSync(lock, JSON.stringify(holder));
    const refused = await run(["-n", "2", "--out", "r.jsonl"], { env });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /process 1 on elsewhere/);
    utimesSync(lock, new Date(), new Date(Date.now() - 600_000));
    assert.equal((await run(["-n", "2", "--out", "r.jsonl"], { env })).code, 0);
    assert.ok(!existsSync(lock));
  }));

test("batch --strategy and --cite: results are of the way they were asked", () =>
  withFolder(async (folder) => {
    const { run } = prepared(folder, 1);
    const args = ["-n", "4", "--out", "r.jsonl"], read = () => resultsOf(readFileSync(join(folder, "r.jsonl"), "utf8"));
    for (
      const [more, strategy, cited] of [
        [["--strategy", "map-reduce", "--cite"], "map-reduce", true],
        [[], "stream", false],
        [["--strategy", "stream+verify"], "stream+verify", false],
      ] as const
    ) {
      const { code, stderr } = await run([...args, ...more]);
      assert.equal(code, 0, stderr);
      const [result, ...rest] = read();
      assert.deepEqual([result!.strategy, rest.length, "citations" in result!], [strategy, 0, cited]);
    }
    const idle = await run(["--strategy", "map-reduce", "--policy", "snapkv"]);
    assert.equal(idle.code, 2, idle.stderr);
  }));
