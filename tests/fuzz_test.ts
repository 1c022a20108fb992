/** A short part of `npm run fuzz`; that it sees what must not be; and hostile models as users meet them: exit 5 and one sentence. */
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { palimpsest, withFolder } from "./cli/helpers.ts";
import { asGguf } from "./golden/as_gguf.ts";
import { writeFolder } from "./golden/as_folder.ts";
import { withHeader } from "./engine/safetensors_bytes.ts";
import type { Outcome } from "./fuzz/child.ts";
import { FAULTS } from "./fuzz/faults.ts";
import { kinds } from "./fuzz/kinds.ts";
import { runInputs } from "./fuzz/run.ts";
import { fixture } from "./host.ts";

async function outcomes(kind: string, seed: number, first: number, end: number, hangsAfterMs?: number) {
  const all: Outcome[] = [];
  await runInputs(kind, seed, first, end, (outcome) => void all.push(outcome), hangsAfterMs);
  return all;
}

for (const { name, share } of kinds) {
  test(`fuzz: inputs of ${name} are used or refused with a sentence`, async () => {
    const all = await outcomes(name, 5, 0, Math.round(20 + 4 * share));
    const findings = all.filter(({ outcome }) => outcome === "finding");
    assert.deepEqual(findings.map(({ input, finding }) => `--kind ${name} --seed 5 --only ${input}: ${finding}`), []);
    for (const wanted of ["used", "refused"]) assert.ok(all.some(({ outcome }) => outcome === wanted), wanted);
  });
}

test("runInputs: errors of the language, endless loops, crashes, memory and long messages are findings; others go on", async () => {
  const all = await outcomes("faults", 1, 0, FAULTS.length, 5000);
  const told = all.map(({ outcome, finding }) => outcome === "finding" ? finding! : outcome);
  const wanted = [
    /^used$/,
    /^refused$/,
    /^TypeError/,
    /a message of 5000 characters/,
    /no sentence/,
    /it hangs/,
    /the process died \(SIGSEGV\)/,
    /memory grew by/,
    /^used$/,
  ];
  assert.equal(told.length, wanted.length);
  wanted.forEach((pattern, i) => assert.match(told[i]!, pattern));
});

const SHARD = "model-00002-of-00002.safetensors", INDEX = "model.safetensors.index.json";

const edited = (name: string, edit: (json: any) => unknown) => async (folder: string) => {
  const path = join(folder, name), json = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify(edit(json) ?? json));
};
const template = (text: string) => (folder: string) => writeFile(join(folder, "chat_template.jinja"), text);
const header = (text: string, bytes = 16) => (folder: string) =>
  writeFile(join(folder, SHARD), withHeader(text, [new Uint8Array(bytes)]));
const preTokenizer = (pattern: string) =>
  edited("tokenizer.json", (json) => {
    json.pre_tokenizer = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
  });
const entry = (offsets: number[]) => `{"dtype":"U8","shape":[8],"data_offsets":${JSON.stringify(offsets)}}`;

/** Folders that are no longer what they were, and what is said of them. */
const FOLDERS: [what: string, harm: (folder: string) => Promise<unknown>, message: RegExp][] = [
  ["a template that counts for ever", template("{% for i in range(1000000000) %}{% endfor %}"), /counts to 1000000000/],
  [
    "a template that doubles",
    template("{% set x = 'abcdefgh' %}" + "{% set x = x ~ x %}".repeat(60)),
    /more than \d+ char/,
  ],
  [
    "a macro that calls itself",
    template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
    /calls itself more than 400/,
  ],
  ["a pattern that backtracks for ever", preTokenizer("(?:a|aa)+$"), /"\(\?:a\|aa\)\+\$" takes more than 512 steps/],
  [
    "a configuration of wrong types",
    edited("config.json", (c) => void (c.hidden_size = [[]])),
    /hidden_size is \[\[\]\]/,
  ],
  ["a tokenizer of wrong types", edited("tokenizer.json", (t) => void (t.model.merges = "x")), /model\.merges is "x"/],
  ["a list as tokenizer", edited("tokenizer.json", () => []), /tokenizer\.json is no JSON object/],
  ["an id of 10^15", edited("tokenizer.json", (t) => void (t.model.vocab.x = 1e15)), /has id 1000000000000000, where/],
  [
    "an added token of 10,000 characters",
    edited("tokenizer.json", (t) => void (t.added_tokens[1].content = "x".repeat(10_000))),
    /has 10000 characters; up to 256 work/,
  ],
  [
    "merges of merges",
    edited("tokenizer.json", (t) => void (t.model.merges = Array(50_000).fill([["a"], "b"]))),
    /model\.merges\[0\]\[0\] is \["a"\], where a text works/,
  ],
  [
    "a header of 2^60 bytes",
    (f) => writeFile(join(f, SHARD), new Uint8Array(64).fill(0x0f)),
    /claim a header of \d{18}/,
  ],
  ["negative offsets", header(`{"w":${entry([-8, 0])}}`), /"w" has no valid data_offsets/],
  ["offsets beyond the file", header(`{"w":${entry([2 ** 40, 2 ** 40 + 8])}}`), /"w" ends at byte 109951162/],
  ["arrays over each other", header(`{"a":${entry([0, 8])},"b":${entry([4, 12])}}`), /"a" and "b" overlap/],
  ["an array twice", header(`{"a":${entry([0, 8])},"a":${entry([8, 16])}}`), /holds an array twice/],
  [
    "an index that leaves the folder",
    edited(INDEX, (i) => void (i.weight_map.x = "../../etc/passwd")),
    /it names "\.\.\/\.\.\/etc\/passwd"; files beside it/,
  ],
  [
    "an index of a missing file",
    edited(INDEX, (i) => void (i.weight_map.x = "gone.safetensors")),
    /missing, fetch gone/,
  ],
];

/** Bytes of GGUF files that lie. */
const FILES: [what: string, harm: (bytes: Uint8Array) => void, message: RegExp][] = [
  [
    "a count of 2^60",
    (b) => new DataView(b.buffer).setBigUint64(8, 2n ** 60n, true),
    /claims 1152921504606847000 tensors/,
  ],
  [
    "a string of 2^40 bytes",
    (b) => new DataView(b.buffer).setBigUint64(24, 2n ** 40n, true),
    /claims 1099511627776 bytes/,
  ],
  [
    "weights that are no numbers",
    (b) => void b.fill(0xff, -60_000),
    /a weight or scale in it \(number \d+\) is NaN; fetch/,
  ],
];

test("ask refuses hostile models: exit 5, one sentence, at once and without much memory", () =>
  withFolder(async (folder) => {
    const whole = join(folder, "whole"),
      text = join(folder, "text.txt"),
      bytes = await asGguf(fixture("golden/models/qwen2"));
    await writeFolder(fixture("golden/models/qwen2"), whole, { dtype: "F16", shards: 2 });
    await writeFile(text, `${"a".repeat(200)}! A text.\n`.repeat(20));
    const refused = async (what: string, model: string, message: RegExp) => {
      const env = { PALIMPSEST_CACHE: join(folder, "cache"), PALIMPSEST_RUNTIME: "bun" };
      const asked = ["ask", "-m", model, "--device", "cpu", "-n", "4", text, "Why?"];
      const { code, stdout, stderr, milliseconds } = await palimpsest(asked, { env });
      assert.equal(code, 5, `${what}: ${stderr}`);
      assert.match(stderr, /^palimpsest: [^\n]{10,600}\n$/, what);
      assert.match(stderr, message, what);
      assert.doesNotMatch(stderr, /\bat \S+:\d+|Error:|is not a function|undefined/, what);
      assert.equal(stdout, "", what);
      assert.ok(milliseconds < 30_000, `${what}: ${milliseconds} ms`);
    };
    const broken = FOLDERS.map(async ([what, harm, message], i) => {
      const copy = join(folder, `model-${i}`);
      await cp(whole, copy, { recursive: true });
      await harm(copy);
      return () => refused(what, copy, message);
    });
    const damaged = FILES.map(async ([what, harm, message], i) => {
      const copy = bytes.slice(), path = join(folder, `model-${i}.gguf`);
      harm(copy);
      await writeFile(path, copy);
      return () => refused(what, path, message);
    });
    for (const ask of await Promise.all([...broken, ...damaged])) await ask();
  }));
