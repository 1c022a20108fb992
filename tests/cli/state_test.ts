/** Memories that are kept: read, ask --state, --questions, chat, and readings that were interrupted. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { writeFolder } from "../golden/as_folder.ts";
import { fixture } from "../host.ts";
import { type Ended, palimpsest, pause, runtimes, type StartOptions } from "./helpers.ts";

const folder = mkdtempSync(join(tmpdir(), "palimpsest-kept-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = join(folder, "Tiny"), cache = join(folder, "cache");
await writeFolder(fixture("golden/models/llama"), model, { dtype: "BF16" });
const at = (name: string) => join(folder, name);
const words = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => `crane ${(i * 7919 + seed) % 997} of the harbour`).join(".\n");
writeFileSync(at("one.txt"), words(60, 1));
writeFileSync(at("two.txt"), words(40, 2));
writeFileSync(at("long.txt"), words(220, 3));
const QUESTIONS = ["How many cranes?", "Which harbour is it?", "Why?"];
// as PowerShell writes it
writeFileSync(at("questions.txt"), Buffer.from("\ufeff" + QUESTIONS.join("\r\n\r\n"), "utf16le"));

const run = (args: string[], options: StartOptions = {}): Promise<Ended> =>
  palimpsest(args, {
    cwd: folder,
    ...options,
    env: { PALIMPSEST_CACHE: cache, PALIMPSEST_MODEL: model, ...options.env },
  });
const SIZES = ["--kv-budget", "120", "--chunk", "64"];

async function ok(args: string[], options: StartOptions = {}): Promise<Ended> {
  const ended = await run(args, options);
  assert.equal(ended.code, 0, ended.stderr + ended.stdout);
  return ended;
}

/** A state without what takes another time in every run. */
function stateOf(path: string) {
  const bytes = readFileSync(at(path)), length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: { facts, version }, ...arrays } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  const { spent: { tokens }, reading: { policyMs: _, ...reading }, ...rest } = JSON.parse(facts);
  const data = createHash("sha256").update(bytes.subarray(8 + length)).digest("hex");
  return { version, tokens, reading, rest, arrays, data };
}

const answers = ({ stdout }: Ended) =>
  stdout.trim().split("\n").map((line) => JSON.parse(line)).map(({ question, answer, kv }) => ({
    question,
    answer,
    kv,
  }));

test("answers from a state are those of the memory that was never saved, under both runtimes", async () => {
  const record = JSON.parse((await ok(["read", "one.txt", "two.txt", "-o", "both.pal", "--json", ...SIZES])).stdout);
  assert.deepEqual([record.schema, record.kv.budgetSlots, record.policy.name], [
    "palimpsest.read/1",
    120,
    "kvzip-quote",
  ]);
  assert.ok(record.kv.compactions >= 3);
  assert.deepEqual(
    record.document.sources.map((one: { sha256: string }) => one.sha256),
    ["one.txt", "two.txt"].map((name) => createHash("sha256").update(readFileSync(at(name))).digest("hex")),
  );
  const unsaved = answers(
    await ok([
      "ask",
      "one.txt",
      "two.txt",
      "--policy",
      "kvzip-quote",
      "--questions",
      "questions.txt",
      "-n",
      "12",
      ...SIZES,
    ]),
  );
  assert.deepEqual(unsaved.map(({ question }) => question), QUESTIONS);
  for (const runtime of runtimes) {
    const env = { PALIMPSEST_RUNTIME: runtime };
    const saved = answers(
      await ok(["ask", "--state", "both.pal", "--questions", "questions.txt", "-n", "12"], { env }),
    );
    assert.deepEqual(saved.map(({ answer }) => answer), unsaved.map(({ answer }) => answer));
    const one = JSON.parse(
      (await ok(["ask", "--state", "both.pal", "--json", "-n", "12", QUESTIONS[1]!], { env })).stdout,
    );
    assert.deepEqual([one.answer, one.document], [unsaved[1]!.answer, record.document]);
  }
  // the model is the one that the state names, whatever is the default; a question longer than its room gets more
  const env = { PALIMPSEST_MODEL: "no-such-model" };
  const elsewhere = await run(["ask", "--state", "both.pal", "--model", model, "-n", "600", "why ".repeat(300)], {
    env,
  });
  assert.equal(elsewhere.code, 0, elsewhere.stderr);
});

test("killed in mid-reading and resumed, a reading ends as one that was not", async () => {
  const args = ["read", "long.txt", "-o", "long.pal", "--checkpoint", "0", ...SIZES];
  await ok(args);
  const expected = stateOf("long.pal"), { milliseconds } = await ok(args);
  assert.deepEqual(stateOf("long.pal"), expected);
  rmSync(at("long.pal"));
  for (let i = 1; i <= 3; i++) {
    let tries = 0;
    do {
      await run([...args, "--resume"], {
        started: (child) => void pause(milliseconds * (.3 + .15 * i)).then(() => child.kill("SIGKILL")),
      });
    } while (!existsSync(at("long.pal.part")) && !existsSync(at("long.pal")) && tries++ < 5);
    if (existsSync(at("long.pal"))) break;
  }
  assert.ok(existsSync(at("long.pal.part")) || existsSync(at("long.pal")));
  if (existsSync(at("long.pal.part"))) {
    const refused = await run(args);
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /interrupted after [\d,]+ tokens: --resume goes on with it, --fresh reads from the start/,
    );
    const smaller = await run([...args, "--resume", "--chunk", "32"]);
    assert.equal(smaller.code, 2);
    assert.match(smaller.stderr, /--chunk is not what it was/);
    const other = await run(["read", "two.txt", "-o", "long.pal", "--resume"]);
    assert.equal(other.code, 3, other.stderr);
    assert.match(other.stderr, /two\.txt: not what was being read/);
    await ok([...args, "--resume"]);
  }
  assert.deepEqual(stateOf("long.pal"), expected);
  assert.ok(!existsSync(at("long.pal.part")));
});

test("Ctrl-C leaves a checkpoint and says so; a pipe that is spooled can be resumed without it", async () => {
  const args = ["read", "-o", "pipe.pal", "--spool", ...SIZES], stdin = readFileSync(at("long.txt"));
  const ended = await run(args, {
    stdin,
    started: (child) => {
      const wait = setInterval(() => {
        if (!existsSync(at("pipe.pal.spool"))) return;
        clearInterval(wait);
        void pause(1500).then(() => child.kill("SIGINT"));
      }, 20);
    },
  });
  if (ended.code !== 0) {
    assert.deepEqual([ended.code, ended.stdout], [130, ""]);
    if (existsSync(at("pipe.pal.part"))) {
      assert.match(ended.stderr, /interrupted after [\d,]+ tokens; the same command with --resume/);
    }
    await ok([...args, "--resume"]);
  }
  const { rest: { sources }, data } = stateOf("pipe.pal"), whole = stateOf("long.pal");
  assert.deepEqual([sources[0].name, sources[0].sha256, data], ["stdin", whole.rest.sources[0].sha256, whole.data]);
  assert.ok(!existsSync(at("pipe.pal.spool")) && !existsSync(at("pipe.pal.part")));
});

/** Temporary files of a pipe that is being kept; an empty one only tries the folder. */
const keeping = (out: string, least = 1) =>
  readdirSync(folder).filter((name) =>
    name.startsWith(`.${out}.spool.`) && (statSync(at(name), { throwIfNoEntry: false })?.size ?? -1) >= least
  );

test("a pipe that was being kept when the process was killed leaves nothing behind the next reading", async () => {
  const args = ["read", "-", "-o", "left.pal", "--spool", ...SIZES];
  await run(args, {
    stdin: words(1e6, 4),
    started: (child) => {
      const wait = setInterval(() => keeping("left.pal").length > 0 && child.kill("SIGKILL"), 1);
      child.on("close", () => clearInterval(wait));
    },
  });
  const [killed] = keeping("left.pal");
  // of a process that runs, and of another machine
  const others = [killed!.replace(/\.\d+-/, `.${process.pid}-`), killed!.replace(/-[0-9a-f]{8}/, "-00000000")];
  for (const name of others) writeFileSync(at(name), "");
  await ok(args, { stdin: "One crane." });
  assert.deepEqual(keeping("left.pal", 0).sort(), others.sort());
});

test("Ctrl-C that ends the pipe, too, leaves no half of it as the whole", async () => {
  const ended = await run(["read", "-", "-o", "half.pal", "--spool", ...SIZES], {
    stdin: readFileSync(at("one.txt")),
    started: (child) => {
      const wait = setInterval(() => {
        if (keeping("half.pal").length === 0) return;
        clearInterval(wait);
        child.kill("SIGINT");
      }, 1);
      child.on("close", () => clearInterval(wait));
    },
  });
  assert.deepEqual([ended.code, existsSync(at("half.pal.spool"))], [130, false], ended.stderr);
});

test("--append reads on; what a state has fixed is refused, and so are other files and other models", async () => {
  await ok(["read", "one.txt", "-o", "grows.pal", ...SIZES]);
  const before = stateOf("grows.pal");
  await ok(["read", "two.txt", "--append", "-o", "grows.pal"]);
  const { rest, reading } = stateOf("grows.pal");
  assert.deepEqual(rest.sources.map((one: { name: string }) => one.name), ["one.txt", "two.txt"]);
  assert.ok(reading.tokensRead > before.reading.tokensRead && reading.compactions > before.reading.compactions);
  await ok(["ask", "--state", "grows.pal", "-n", "4", "Why?"]);
  await writeFolder(fixture("golden/models/qwen3"), at("Other"), { dtype: "BF16" });
  writeFileSync(at("cut.pal"), readFileSync(at("grows.pal")).subarray(0, 5000));
  await ok(["read", "-", "-o", "piped.pal", "--policy", "streaming", ...SIZES], { stdin: "One crane." });
  const cases: [args: string[], code: number, message: RegExp][] = [
    [["ask", "--state", "piped.pal", "--cite", "Why?"], 2, /--cite of what cannot be read again .* streaming does not/],
    [
      ["ask", "--state", "piped.pal", "--cite", "--questions", "questions.txt"],
      2,
      /--cite of what cannot be read again/,
    ],
    [["ask", "--state", "grows.pal", "--system", "Be kind", "Why?"], 2, /--system was fixed when grows\.pal was read/],
    [["read", "two.txt", "--append", "-o", "grows.pal", "--kv-budget", "64"], 2, /--kv-budget was fixed/],
    [["ask", "--state", "grows.pal", "one.txt", "Why?"], 2, /one\.txt is a document.*--append -o grows\.pal/],
    [["ask", "--state", "grows.pal"], 2, /question is missing: palimpsest ask --state/],
    [["read", "one.txt"], 2, /Where to keep the memory is missing/],
    [["read", "one.txt", "-o", "q.pal", "--policy", "question"], 2, /asks with the question/],
    [["ask", "--state", "one.txt", "Why?"], 5, /one\.txt: it is none, or damaged/],
    [["ask", "--state", "cut.pal", "Why?"], 5, /cut\.pal: it is none, or damaged/],
    [["ask", "--state", ".", "Why?"], 5, /Cannot read \.: it is a folder, and a file is needed/],
    [
      ["ask", "grows.pal", "Why?"],
      3,
      /grows\.pal is a memory that palimpsest read has kept: --state grows\.pal asks it/,
    ],
    [["ask", "--state", "grows.pal", "--questions", "."], 3, /Cannot read \.: it is a folder, and a file is needed/],
    [
      ["ask", "--state", "grows.pal", "--questions", "grows.pal"],
      3,
      /no file of questions, .*: it must be text/,
    ],
    [["ask", "--state", "none.pal", "Why?"], 5, /Cannot read none\.pal: no such file/],
    [["ask", "--state", join(model, "model.safetensors"), "Why?"], 5, /of another kind/],
    [["ask", "--state", "grows.pal", "-m", "./Other", "Why?"], 5, /made by model Tiny .* and this is Other/],
    [["ask", "--state", "grows.pal", "--questions", "empty.txt"], 3, /Cannot read empty\.txt/],
    [["chat", "--state", "grows.pal", "one.txt"], 2, /one\.txt is a document/],
    [["chat"], 2, /What to talk about is missing/],
    [["read", "one.txt", "-o", "one.txt"], 2, /-o one\.txt is there, and is no saved state/],
    [["read", "one.txt", "-o", "none/a.pal"], 2, /-o none\/a\.pal: there is no folder none/],
    [["read", "one.txt", "-o", "Tiny"], 2, /-o Tiny is a folder: name a file, such as Tiny\/memory\.pal/],
    [["read", "one.txt", "-o", "new/"], 2, /-o new\/ is a folder: name a file, such as new\/memory\.pal/],
    [["read", "one.txt", "-o", "-"], 2, /-o - is no file, and stdout takes none: name one, such as memory\.pal/],
    [["read", "one.txt", "-o", `${"x".repeat(240)}.pal`], 2, /the name is too long/],
    [["ask", "one.txt", "--report", "", "Why?"], 2, /--report "" names no file: name one, such as report\.html/],
    [["ask", "one.txt", "--report", "two.txt", "Why?"], 2, /--report two\.txt is there, and is no report/],
    [["ask", "one.txt", "--report", "page.html", "Why?"], 2, /page\.html is there, and is no report/],
    [["ask", "one.txt", "--report", "/dev/null", "Why?"], 2, /\/dev\/null is no file/],
    [
      ["ask", "--state", "grows.pal", "--report", "none/r.html", "Why?"],
      2,
      /--report none\/r\.html: there is no folder none/,
    ],
    [
      ["ask", "--state", "grows.pal", "--report", "r.html", "--questions", "questions.txt"],
      2,
      /--report is of one answer/,
    ],
    [
      ["ask", "-", "--policy", "snapkv", "--cite", "Why?"],
      2,
      /--cite of what cannot be read again needs a policy that remembers text, and snapkv does not/,
    ],
  ];
  if (existsSync("/proc/self/fd")) {
    const message = /no file can be written to \/proc \(E\w+\), name one in another folder/;
    cases.push([["read", "one.txt", "--append", "-o", "/proc/a.pal"], 2, message]);
    cases.push([["ask", "one.txt", "--report", "/proc/r.html", "Why?"], 2, message]);
  }
  writeFileSync(at("page.html"), "<!doctype html><html><p>The user's own.</html>");
  const documents = ["one.txt", "two.txt"].map((name) => readFileSync(at(name), "utf8"));
  for (const [args, code, message] of cases) {
    const ended = await run(args, { env: { PALIMPSEST_MODEL: args.includes("-m") ? "" : model } });
    assert.equal(ended.code, code, `${args.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, message);
    assert.equal(ended.stdout, "");
  }
  assert.deepEqual(["one.txt", "two.txt"].map((name) => readFileSync(at(name), "utf8")), documents);
});

test("--append and --resume: nothing is read twice, replaced or combined with another state, and no part of a document is asked", async () => {
  const append = ["read", "long.txt", "--append", "--resume", "-o", "on.pal"], part = at("on.pal.part");
  await ok(["read", "one.txt", "--resume", "-o", "on.pal", ...SIZES]);
  const base = readFileSync(at("on.pal"));
  let beside: Ended | undefined;
  await run([...append, "--checkpoint", "0"], {
    started: (child) => {
      const wait = setInterval(async () => {
        if (!existsSync(part)) return;
        clearInterval(wait);
        beside = await run(["read", "two.txt", "--append", "-o", "on.pal"]);
        child.kill("SIGKILL");
      }, 5);
    },
  });
  assert.ok(existsSync(part));
  assert.equal(beside!.code, 1);
  assert.match(
    beside!.stderr,
    /Another run reads into on\.pal \(process \d+ on .*\): wait for it, name another file, or/,
  );
  await ok(["read", "two.txt", "-o", "other.pal", ...SIZES]);
  const refusals: [args: string[], message: RegExp][] = [
    [["ask", "--state", "on.pal.part", "Why?"], /on\.pal\.part is a reading that was interrupted after [\d,]+ tokens/],
    [["read", "two.txt", "-o", "on.pal.part"], /on\.pal\.part is the checkpoint of a reading/],
    [append.filter((word) => word !== "--append"), /reads on from on\.pal: --resume with --append goes on with it/],
    [append, /reads on from another on\.pal than the one that is there now: --fresh reads on from on\.pal as it is/],
  ];
  writeFileSync(at("on.pal"), readFileSync(at("other.pal")));
  for (const [args, message] of refusals) {
    const ended = await run(args);
    assert.equal(ended.code, 2, `${args.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, message);
  }
  writeFileSync(at("on.pal"), base);
  await ok(append);
  const whole = readFileSync(at("on.pal"));
  for (const args of [append, ["read", "one.txt", "--resume", "-o", "on.pal"]]) {
    const { timing, document } = JSON.parse((await ok([...args, "--json"])).stdout);
    assert.deepEqual([timing.prefillTokens, document.sources.length], [0, 2]);
    assert.deepEqual(readFileSync(at("on.pal")), whole);
  }
  const refused = await run(["read", "two.txt", "--resume", "-o", "on.pal"]);
  assert.equal(refused.code, 2);
  assert.match(
    refused.stderr,
    /nothing to resume: on\.pal is whole, and holds other documents.*\(one\.txt, long\.txt\)/,
  );
  writeFileSync(part, "damaged");
  const damaged = await run(["read", "two.txt", "-o", "on.pal"]);
  assert.equal(damaged.code, 5);
  assert.match(damaged.stderr, /on\.pal\.part is there, and is no checkpoint .*--fresh reads from the start/);
});

test("--cite and --report say where an answer came from, of documents and of a state", async () => {
  await ok(["read", "one.txt", "two.txt", "-o", "cited.pal", ...SIZES]);
  for (
    const [name, from] of [["ask", ["one.txt", "two.txt", ...SIZES]], ["state", ["--state", "cited.pal"]]] as const
  ) {
    const args = ["ask", ...from, "--cite", "--report", `${name}.html`, "-n", "8", "Why <b>?"];
    const { stderr, stdout } = await ok(args);
    assert.match(stderr, /^\[1\] (one|two)\.txt, \d+ %\n {4}\S/m);
    assert.ok(!stdout.includes("[1]"));
    const page = readFileSync(at(`${name}.html`), "utf8");
    assert.ok(page.includes("<h1>Why &#60;b&#62;?</h1>") && page.includes("one.txt, two.txt"));
    const { citations } = JSON.parse((await ok([...args, "--json"])).stdout);
    assert.ok(
      citations.length > 0 && citations.every((one: { source: string }) => /^(one|two)\.txt$/.test(one.source)),
    );
  }
});

test("a document that has changed since it was read is not looked into", async () => {
  writeFileSync(at("page.txt"), "The crane stands idle. ".repeat(40));
  await ok(["read", "page.txt", "-o", "page.pal", ...SIZES]);
  const args = ["ask", "--state", "page.pal", "--cite", "--verbose", "-n", "4", "What stands idle?"];
  assert.doesNotMatch((await ok(args)).stderr, /has changed/);
  writeFileSync(at("page.txt"), "The heron stands idle. ".repeat(40));
  const { stderr } = await ok(args);
  assert.match(stderr, /page\.txt has changed since it was read/);
  assert.doesNotMatch(stderr, /heron/);
});

test("chat answers line by line, and a question sees those before it", async () => {
  const stdin = `/cite\n${QUESTIONS[0]}\n/cite\n/history\n/nothing\n${QUESTIONS[1]}\n/sources\n/clear\n${
    QUESTIONS[1]
  }\n/quit\nnever\n`;
  const { stdout, stderr } = await ok(["chat", "one.txt", "-n", "12", ...SIZES], { stdin });
  const single = answers(
    await ok(["ask", "one.txt", "--policy", "kvzip-quote", "--questions", "questions.txt", "-n", "12", ...SIZES]),
  );
  assert.ok(stdout.startsWith(single[0]!.answer), stdout);
  assert.ok(stdout.trimEnd().endsWith(single[1]!.answer), stdout);
  assert.notEqual(stdout, `${single[0]!.answer}\n${single[1]!.answer}\n${single[1]!.answer}\n`);
  assert.match(stderr, /› How many cranes\?/);
  assert.match(stderr, /^Nothing was asked yet\n\[1\] one\.txt, \d+ %\n {4}\S/);
  assert.match(stderr, /There is no \/nothing/);
  assert.match(stderr, /one\.txt: text/);
});
