import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { list, numbers, oneNumber, policyList } from "../../cli/eval_flags.ts";
import { jsonLines } from "../../cli/eval_store.ts";
import { fixture } from "../host.ts";
import { result } from "../eval/results.ts";
import { palimpsest, runtimes, withFolder } from "./helpers.ts";

const prose = Array.from({ length: 400 }, (_, n) => `The dog number ${n} saw the cat, and the end was the start.`).join(
  " ",
);
const tiny = ["--model", fixture("gguf/llama.f32.gguf"), "--device", "cpu", "--threads", "1"];

test("policyList: names by comma, spellings by semicolon or flag, mixtures refused", () => {
  assert.deepEqual(policyList(undefined, ["question"]), ["question"]);
  assert.deepEqual(policyList(["question, snapkv", "streaming,snapkv"], []), ["question", "snapkv", "streaming"]);
  assert.deepEqual(policyList(["snapkv;probe=window, aggregate=mean"], []), ["snapkv", "probe=window,aggregate=mean"]);
  assert.throws(() => policyList(["snapkv,probe=window"], []), { name: "UsageError", message: /part them with ;/ });
  assert.throws(() => policyList([" ; "], []), { name: "UsageError", message: /--policy is empty/ });
});

test("list, numbers and oneNumber: flags given once or often, faults with their flag and value", () => {
  assert.deepEqual(list("--task", ["a,b", "c, a"], []), ["a", "b", "c"]);
  assert.throws(() => list("--task", ["a,,b"], []), { name: "UsageError", message: /--task has an empty part/ });
  assert.deepEqual([numbers("--length", undefined, 2000, 100), numbers("--length", ["500,1000"], 1, 1)], [[2000], [
    500,
    1000,
  ]]);
  assert.throws(() => numbers("--length", ["50"], 1, 100), {
    message: /--length takes whole numbers from 100 on.*"50"/,
  });
  assert.throws(() => oneNumber("--samples", ["3,4"], 1, 1), { message: /--samples takes one number/ });
});

test("jsonLines: what was appended is loaded, and an unfinished line is neither loaded nor joined", () =>
  withFolder(async (folder) => {
    const path = join(folder, "new", "results.jsonl"), store = jsonLines(path);
    assert.deepEqual(await store.load(), []);
    const [one, two] = [result({ key: "1" }), result({ key: "2" })];
    await store.append(one);
    writeFileSync(path, JSON.stringify(one) + '\n{"key":"3","ta');
    assert.deepEqual(await jsonLines(path).load(), [one]);
    await store.append(two);
    assert.deepEqual(await store.load(), [one, two]);
    await assert.rejects(jsonLines(join(path, "inside.jsonl")).load(), { name: "PalimpsestError", message: /folder/ });
  }));

for (const runtime of runtimes) {
  test(`eval under ${runtime}: table, report and results; a second run measures nothing again`, () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, "prose.txt"), prose);
      const args = [
        "eval",
        "prose.txt",
        ...tiny,
        "--task",
        "niah_single_2,niah_single_1",
        "--length",
        "900",
        "--samples",
        "2",
      ];
      args.push(
        "--policy",
        "full,snapkv",
        "--kv-budget",
        "25%,64",
        "--chunk",
        "128",
        "--protocol",
        "both",
        "--out",
        "out",
      );
      const options = { cwd: folder, env: { PALIMPSEST_RUNTIME: runtime, PALIMPSEST_CACHE: join(folder, "cache") } };
      const first = await palimpsest(args, options);
      assert.deepEqual([first.code, first.stderr], [0, ""]);
      const rows = first.stdout.split("\n").filter((line) => line.startsWith("|"));
      // per task full, and snapkv at two budgets under two protocols
      assert.equal(rows.length, 2 + 2 * (1 + 4));
      const out = (name: string) => readFileSync(join(folder, "out", name), "utf8");
      assert.equal(out("table.md"), first.stdout);
      assert.equal(out("results.jsonl").trimEnd().split("\n").length, 2 * 2 * (1 + 4));
      assert.match(out("report.html"), /Query-agnostic/);

      const again = await palimpsest([...args, "--json"], options);
      assert.deepEqual([again.code, again.stderr], [0, ""]);
      const told = JSON.parse(again.stdout);
      assert.deepEqual([told.schema, told.command, told.rows.length], ["palimpsest.eval/1", "eval", 10]);
      assert.deepEqual([told.measured, told.reused], [0, 20]);
      assert.equal(out("results.jsonl").trimEnd().split("\n").length, 20);
    }));
}

test("eval --tasks: samples of a file, without prose", () =>
  withFolder(async (folder) => {
    const sample = {
      context: "The dog is in Rome. ".repeat(20),
      question: "Where?",
      answer: ["Rome"],
      max_new_tokens: 4,
    };
    writeFileSync(join(folder, "own.jsonl"), JSON.stringify(sample));
    const args = [
      "eval",
      ...tiny,
      "--tasks",
      "own.jsonl",
      "--policy",
      "streaming",
      "--kv-budget",
      "64",
      "--html",
      "page/r.html",
    ];
    const options = { cwd: folder, env: { PALIMPSEST_CACHE: join(folder, "cache") } };
    const ended = await palimpsest(args, options);
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    assert.match(ended.stdout, /^\| file \| file \| aware \| streaming \| 64 \| 1 \|/m);
    assert.ok(existsSync(join(folder, "page", "r.html")));
    writeFileSync(
      join(folder, "own.jsonl"),
      `${JSON.stringify(sample)}\n${JSON.stringify({ ...sample, question: "Who?" })}`,
    );
    const again = await palimpsest([...args, "--fresh", "--json", "--samples", "1"], options);
    assert.deepEqual([JSON.parse(again.stdout).measured, JSON.parse(again.stdout).reused], [2, 0]);
  }));

test("eval --protocol agnostic: without --policy, what needs no question is compared, its default first", () =>
  withFolder(async (folder) => {
    const sample = {
      context: "The dog is in Rome. ".repeat(20),
      question: "Where?",
      answer: ["Rome"],
      max_new_tokens: 2,
    };
    writeFileSync(join(folder, "own.jsonl"), JSON.stringify(sample));
    const ended = await palimpsest(
      ["eval", ...tiny, "--tasks", "own.jsonl", "--kv-budget", "64", "--protocol", "agnostic", "--json"],
      { cwd: folder, env: { PALIMPSEST_CACHE: join(folder, "cache") } },
    );
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    const compared = JSON.parse(ended.stdout).rows.map((row: { policy: string }) => row.policy);
    assert.deepEqual(compared.slice(0, 2), ["full", "kvzip-quote"]);
  }));

test("eval: Ctrl-C leaves what is done, says how to go on, and exits 130", () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, "prose.txt"), prose);
    const args = ["eval", "prose.txt", ...tiny, "--task", "niah_single_2", "--length", "2000", "--samples", "500"];
    const ended = await palimpsest([...args, "--policy", "streaming", "--out", "out"], {
      cwd: folder,
      env: { PALIMPSEST_CACHE: join(folder, "cache") },
      started: (child) => {
        const results = join(folder, "out", "results.jsonl");
        const timer = setInterval(() => {
          if (!existsSync(results) || readFileSync(results, "utf8") === "") return;
          clearInterval(timer);
          child.kill("SIGINT");
        }, 20);
        child.on("close", () => clearInterval(timer));
      },
    });
    assert.deepEqual([ended.code, ended.stdout], [130, ""]);
    const [, done, total] = /palimpsest: (\d+) of (\d+) results are kept in out.results\.jsonl: the same command/.exec(
      ended.stderr,
    ) ?? [];
    assert.equal(total, "1000");
    const lines = readFileSync(join(folder, "out", "results.jsonl"), "utf8").trimEnd().split("\n");
    assert.equal(lines.length, Number(done));
  }));
