import assert from "node:assert/strict";
import { test } from "node:test";
import { hanging } from "../../cli/wrap.ts";
import { measured } from "../../core/measured.ts";
import { parsePolicy, policies, policyGroup } from "../../core/policies.ts";
import { stages } from "../../core/stages.ts";
import { palimpsest } from "./helpers.ts";

const shown = async (...args: string[]) => {
  const ended = await palimpsest(["policies", ...args]);
  assert.deepEqual([ended.code, ended.stderr], [0, ""]);
  return ended.stdout;
};
const told = async (...args: string[]) => JSON.parse(await shown(...args, "--json"));

test("policies: every policy once, under the group that its stages put it in, unwrapped and uncoloured in a pipe", async () => {
  const text = await shown();
  const titles = ["Defaults", "The question is known", "The question need not", "Baselines"];
  const starts = titles.map((title) => text.indexOf(title));
  assert.deepEqual(starts.toSorted((a, b) => a - b), starts);
  assert.ok(starts[0] === 0);
  const order = ["default", "question", "agnostic", "baseline"];
  for (const [name, { summary, cost }] of Object.entries(policies)) {
    const [line, ...twice] = [...text.matchAll(new RegExp(`^${name} .*\\n.*$`, "gm"))];
    assert.ok(line && twice.length === 0, name);
    assert.ok(line[0].includes(summary) && line[0].includes(`cost: ${cost}`), line[0]);
    const section = starts.findLastIndex((start) => start <= line.index!);
    assert.equal(order[section], policyGroup(name), name);
  }
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /\x1b/);
});

test("policies --color: styles around the same words", async () => {
  const coloured = await shown("--color");
  assert.ok(coloured.includes("\x1b[2m"));
  // deno-lint-ignore no-control-regex
  assert.equal(coloured.replace(/\x1b\[\d+m/g, ""), await shown());
});

test("policies <name>: its stages with their variants, and how to spell it", async () => {
  for (const name of ["question-quote", "layer-defensive", "full"]) {
    const text = await shown(name);
    for (const [stage, variant] of Object.entries(policies[name]!.stages)) {
      assert.match(text, new RegExp(`^${stage} +${variant}: .`, "m"));
    }
    assert.equal(text.includes("--policy "), parsePolicy(name).evicts);
  }
  assert.match(await shown("question-quote"), /Default of ask\.[^]*--policy recall=quote\n/);
  assert.match(await shown("probe=question+role"), /^probe +question: .*; and role: /m);
});

test("policies --stages: every variant of every stage, the first of a stage being its default", async () => {
  const text = await shown("--stages"), json = await told("--stages");
  assert.deepEqual(json.stages.map(({ stage }: { stage: string }) => stage), Object.keys(stages));
  json.stages.forEach(({ stage, variants }: { stage: keyof typeof stages; variants: Record<string, string> }) => {
    assert.deepEqual(Object.keys(variants), Object.keys(stages[stage]), stage);
    for (const [variant, summary] of Object.entries(variants)) {
      assert.ok(summary.length > 0);
      assert.match(text, new RegExp(`^${variant} +\\S`, "m"));
    }
  });
});

test("policies --json: what a policy needs is told beside the words, for all or for one", async () => {
  const all = await told(), [one, ...more] = (await told("snapkv")).policies;
  assert.deepEqual(all.defaults, { ask: "question-quote", summarize: "coverage", agnostic: "kvzip-quote" });
  assert.deepEqual(all.policies.map(({ name }: { name: string }) => name), Object.keys(policies));
  assert.deepEqual(more, []);
  assert.deepEqual(one, {
    name: "snapkv",
    ...policies["snapkv"],
    group: "agnostic",
    measured: measured["snapkv"] ?? null,
    needsQuestion: false,
    packs: [],
  });
});

test("hanging: further lines stand under the text, no word is lost, a long one has its own line", () => {
  assert.deepEqual(hanging("name", "one two three four five six", 6, 20), [
    "name  one two three four",
    "      five six",
  ]);
  assert.deepEqual(hanging("name", "one two", 6, Infinity), ["name  one two"]);
  assert.deepEqual(hanging("", "a https://x.example/aaaaaaaaaaaaaaa b", 2, 10), [
    "  a",
    "  https://x.example/aaaaaaaaaaaaaaa",
    "  b",
  ]);
  for (const width of [30, 80, 120]) {
    const text = Object.values(policies).map(({ summary }) => summary).join(" ");
    const lines = hanging("", text, 4, width);
    assert.equal(lines.map((line) => line.trim()).join(" "), text);
    assert.ok(lines.every((line) => line.length <= width));
  }
});
