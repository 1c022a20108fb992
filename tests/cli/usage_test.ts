import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { palimpsest, root, runtimes, withFolder } from "./helpers.ts";

/** Command line, its exit code, and what the one sentence must say. */
const table: [args: string[], code: number, says: RegExp][] = [
  [["frobnicate"], 2, /Unknown command 'frobnicate'/],
  [["sumarize"], 2, /Did you mean summarize/],
  [["ask", "--polcy", "x", "Q"], 2, /Unknown option '--polcy'.*--policy/],
  [["ask"], 2, /The question is missing/],
  [["ask", "text.txt", ""], 2, /question is missing/],
  [["ask", "text.txt"], 2, /question is missing after the file text\.txt/],
  [["ask", "--chunk", "0", "text.txt", "Q"], 2, /whole number from 1/],
  [["ask", "--chunk", "1.5", "text.txt", "Q"], 2, /whole number from 1/],
  [["ask", "--threads", "many", "text.txt", "Q"], 2, /whole number from 1/],
  [["ask", "--kv-budget", "a lot", "text.txt", "Q"], 2, /slots \(1024\) or bytes/],
  [["ask", "--kv-budget", "-5", "text.txt", "Q"], 2, /slots \(1024\) or bytes|argument missing/],
  [["ask", "--positions", "sideways", "text.txt", "Q"], 2, /auto, original, compact/],
  [["ask", "--device", "abacus", "text.txt", "Q"], 2, /Allowed choices are auto, cpu, wasm/],
  [
    ["ask", "--policy", "wishful", "text.txt", "Q"],
    2,
    /Unknown policy "wishful": use a name that "palimpsest policies" lists/,
  ],
  [["ask", "--policy", "probe=none,select=luck", "text.txt", "Q"], 2, /select "luck"/],
  [["ask", "--strategy", "guess", "text.txt", "Q"], 2, /Allowed choices are stream, stream\+verify, map-reduce/],
  [
    ["ask", "--strategy", "map-reduce", "--policy", "snapkv", "text.txt", "Q"],
    2,
    /--policy snapkv means nothing to it/,
  ],
  [["ask", "--strategy", "stream+verify", "-", "Q"], 2, /stdin can be read only once: save it in a file/],
  [["ask", "--strategy", "map-reduce", "--questions", "q.txt", "text.txt"], 2, /without --questions it works/],
  [["summarize", "--strategy", "stream+verify", "text.txt"], 2, /Allowed choices are stream, map-reduce/],
  [["ask", "missing.txt", "Q"], 3, /Cannot read missing\.txt: no such file/],
  [["ask", "text.txt", "missing.txt", "Q"], 3, /missing\.txt/],
  [["ask", "none/*.md", "Q"], 3, /none\/\*\.md: no file is there/],
  [["ask", "text.txt/inside", "Q"], 3, /not a directory/],
  [["ask", "-", "-", "Q"], 3, /only once/],
  [["summarize", "missing.txt"], 3, /no such file/],
  [["plan", "missing.txt"], 3, /no such file/],
  [["ask", "text.txt", "Q"], 5, /smollm2-135m is not on this machine, run: palimpsest pull smollm2-135m/],
  [["ask", "-m", "gpt-17", "text.txt", "Q"], 5, /Unknown model "gpt-17"/],
  [
    ["ask", "-m", "./no.gguf", "text.txt", "Q"],
    5,
    /Cannot find the model \.\/no\.gguf: there is no .*no\.gguf; --model takes /,
  ],
  [["ask", "-m", "text.txt/", "text.txt", "Q"], 5, /Cannot use model .*text\.txt: it is neither GGUF nor safetensors/],
  [["plan", "text.txt"], 5, /palimpsest pull/],
  [["batch"], 2, /Missing required argument/],
  [["batch", "--shard", "0/4", "text.txt"], 2, /i\/n, from 1\/n to n\/n/],
  [["eval"], 2, /No text is named, and task niah_single_2 .*--task niah_single_1,vt,cwe,fwe.*--tasks/],
  [["eval", "--task", "niah", "text.txt"], 2, /Unknown task "niah": use niah_single_1/],
  [["eval", "--policy", "wishful", "text.txt"], 2, /Unknown policy "wishful"/],
  [["eval", "--policy", "snapkv,probe=none", "text.txt"], 2, /mixes names and stage=variant pairs/],
  [["eval", "--policy", "question", "--protocol", "agnostic", "text.txt"], 2, /question.*use --protocol aware/],
  [["eval", "--kv-budget", "much", "text.txt"], 2, /slots \(512\), a share of the document \(25%\) or bytes \(32MiB\)/],
  [["eval", "--kv-budget", "64MiX", "text.txt"], 2, /slots \(1024\) or bytes \(64MiB.*64MiX/],
  [["eval", "--strategy", "guess", "text.txt"], 2, /Unknown strategy "guess": there are stream, /],
  [["eval", "--kv-type", "int4", "text.txt"], 2, /auto, f32, f16, int8/],
  [["eval", "--length", "2000,five", "text.txt"], 2, /--length takes whole numbers.*"five"/],
  [["eval", "--samples", "0", "text.txt"], 2, /--samples takes whole numbers from 1 on/],
  [["eval", "missing.txt"], 3, /no such file/],
  [["eval", "--tasks", "missing.jsonl"], 3, /Cannot read missing\.jsonl: no such file/],
  [["eval", "--tasks", "text.txt"], 3, /text\.txt, line 1 is not JSON/],
  [["eval", "text.txt"], 5, /palimpsest pull/],
  [["eval", "--device", "webgpu", "--task", "niah_single_1"], 6, /eval has no webgpu device yet, --device cpu/],
  [["ask", "--allow-software", "text.txt", "Q"], 2, /--allow-software goes with --device webgpu, .* is auto/],
  [["ask", "--kv-type", "int4", "text.txt", "Q"], 2, /auto, f32, f16, int8/],
  [["models", "rm", "smollm2-135m"], 5, /not on this machine/],
  [["models", "rm", "../../etc"], 2, /letters, digits/],
  [["models", "path", "smollm2-135m"], 5, /palimpsest pull/],
  [["models", "sell"], 2, /./],
  [["pull", "gpt-17"], 5, /Unknown model "gpt-17": pull knows smollm2-135m/],
  [["pull", "--from", "floppy"], 2, /wheel, hub/],
  [["policies", "wishful"], 2, /Unknown policy "wishful": .*such as question-quote or snapkv/],
  [["policies", "probe=luck"], 2, /Unknown probe "luck".*window/],
  [["policies", "probe=question+knorm"], 2, /Cannot mix the probes "question\+knorm"/],
  [["policies", "snapkv", "--stages"], 2, /--stages.*name no policy/],
  [["completions", "tcsh"], 2, /bash, zsh, fish, powershell/],
];

for (const [args, code, says] of table) {
  test(`exit ${code}: palimpsest ${args.join(" ")}`, async () => {
    await withFolder(async (folder) => {
      writeFileSync(join(folder, "text.txt"), "The door is green.\n");
      const [plain, json] = await Promise.all([
        palimpsest(args, { cwd: folder }),
        palimpsest([...args.slice(0, 1), "--json", ...args.slice(1)], { cwd: folder }),
      ]);
      assert.equal(plain.code, code, plain.stderr);
      assert.equal(plain.stdout, "");
      const [sentence, ...more] = plain.stderr.trimEnd().split("\n");
      assert.match(sentence!, /^palimpsest: /);
      assert.match(sentence!, says);
      if (code === 2) assert.match(more.join("\n"), /^Usage: palimpsest /);
      else assert.deepEqual(more, []);

      assert.equal(json.code, code);
      assert.equal(json.stderr, "");
      const told = JSON.parse(json.stdout);
      assert.deepEqual([told.schema, told.code], ["palimpsest.error/1", code]);
      assert.match(told.message, says);
    });
  });
}

test("palimpsest without words shows help on stderr and exits 2", async () => {
  const ended = await palimpsest([]);
  assert.equal(ended.code, 2);
  assert.equal(ended.stdout, "");
  assert.match(ended.stderr, /^Usage: palimpsest/);
});

for (
  const command of [
    "ask",
    "read",
    "chat",
    "summarize",
    "plan",
    "batch",
    "eval",
    "pull",
    "models",
    "policies",
    "doctor",
    "completions",
    "man",
    "version",
  ]
) {
  test(`palimpsest ${command} --help has --json and exits 0`, async () => {
    const ended = await palimpsest([command, "--help"]);
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    assert.match(ended.stdout, /--json/);
  });
}

test("--version is one line, version and --version --json are the facts of the build", async () => {
  const [line, plain, json, both] = await Promise.all(
    [["--version"], ["version"], ["version", "--json"], ["--version", "--json"]].map((args) => palimpsest(args)),
  );
  assert.equal(line!.stdout, `${manifest.version}\n`);
  assert.equal(both!.stdout, json!.stdout);
  const { commit, runtime, ...told } = JSON.parse(json!.stdout);
  if (existsSync(join(root, ".git"))) assert.match(commit, /^[0-9a-f]{40}$/);
  else assert.equal(commit, null);
  assert.ok(plain!.stdout.includes(`\n${runtime.name} ${runtime.version}\n`), plain!.stdout);
  assert.deepEqual(told, {
    schema: "palimpsest.version/1",
    command: "version",
    version: manifest.version,
    onnxruntime: manifest.dependencies["onnxruntime-node"],
    platform: process.platform,
    arch: process.arch,
    compiled: false,
  });
});

test("environment variables stand in for flags, and flags win", async () => {
  await withFolder(async (folder) => {
    writeFileSync(join(folder, "text.txt"), "The door is green.\n");
    const env = { PALIMPSEST_MODEL: "from-environment", PALIMPSEST_CHUNK: "64" };
    assert.match((await palimpsest(["ask", "text.txt", "Q"], { cwd: folder, env })).stderr, /from-environment/);
    assert.match(
      (await palimpsest(["ask", "-m", "from-flag", "text.txt", "Q"], { cwd: folder, env })).stderr,
      /from-flag/,
    );
    const bad = await palimpsest(["ask", "text.txt", "Q"], { cwd: folder, env: { PALIMPSEST_CHUNK: "wide" } });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /PALIMPSEST_CHUNK/);
  });
});

for (const runtime of runtimes) {
  test(`policies under ${runtime}: a list, and under --json one object`, async () => {
    const env = { PALIMPSEST_RUNTIME: runtime };
    const [plain, json] = await Promise.all([
      palimpsest(["policies"], { env }),
      palimpsest(["policies", "--json"], { env }),
    ]);
    for (const name of ["question", "snapkv", "streaming", "full"]) {
      assert.match(plain.stdout, new RegExp(`^${name} `, "m"));
    }
    const told = JSON.parse(json.stdout);
    assert.deepEqual([told.schema, told.command], ["palimpsest.policies/1", "policies"]);
    assert.deepEqual(Object.keys(told.policies[0].stages).sort(), [
      "aggregate",
      "allocate",
      "compensate",
      "decode",
      "probe",
      "recall",
      "select",
    ]);
  });

  test(`doctor under ${runtime}: exit 5 without a model, and says so`, async () => {
    const ended = await withFolder((folder) =>
      palimpsest(["doctor", "--json"], { env: { PALIMPSEST_RUNTIME: runtime, PALIMPSEST_CACHE: folder } })
    );
    assert.equal(ended.code, 5, ended.stderr);
    const told = JSON.parse(ended.stdout);
    assert.deepEqual([told.schema, told.command, told.ok], ["palimpsest.doctor/1", "doctor", false]);
    const check = (name: string) => told.checks.find((one: { name: string }) => one.name === name);
    assert.equal(check("model").ok, false);
    assert.equal(check("cpu").ok, true);
    assert.match(check("version").detail, new RegExp(runtime));
  });
}
