import assert from "node:assert/strict";
import { test } from "node:test";
import { score } from "../../core/eval/metrics.ts";
import { DEFAULT_TASKS, findTask, tasks } from "../../core/eval/tasks.ts";
import { clozes } from "../../core/eval/tasks/recall.ts";
import { haystack } from "./prose.ts";

const SEEDS = [1, 2, 3, 1_000_020];
const LENGTH = 3000;

for (const task of tasks) {
  test(`${task.name}: as long as asked for, answers in the context and nowhere else`, () => {
    for (const seed of SEEDS) {
      const sample = task.make(haystack, LENGTH, seed), count = haystack.count(sample.context);
      assert.ok(count <= LENGTH * 1.02 && count >= LENGTH * 0.94, `seed ${seed}: ${count} tokens of ${LENGTH}`);
      assert.ok(sample.answers.length > 0);
      for (const answer of sample.answers) {
        assert.ok(sample.context.includes(answer), `${answer} is in the context`);
        assert.ok(!`${sample.question} ${sample.answerPrefix}`.includes(answer), `${answer} is not given away`);
      }
      assert.equal(score(`${sample.answers.join(" and ")}.`, sample), 1);
      assert.equal(score("", sample), 0);
      assert.equal(sample.task, task.name);
      if (sample.depth !== undefined) assert.ok(sample.depth >= 0 && sample.depth <= 1);
    }
  });

  test(`${task.name}: the same seed makes the same sample, another one another`, () => {
    assert.deepEqual(task.make(haystack, LENGTH, 5), task.make(haystack, LENGTH, 5));
    const [a, b] = [task.make(haystack, LENGTH, 5), task.make(haystack, LENGTH, 6)];
    assert.notDeepEqual([a.context, a.answers], [b.context, b.answers]);
  });
}

const make = (name: string, seed = 3) => findTask(name).make(haystack, LENGTH, seed);

test("niah: where the needle stands is the depth that the sample tells", () => {
  for (const name of ["niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multikey_2"]) {
    for (const seed of SEEDS) {
      const { context, answers, depth } = make(name, seed);
      const place = context.indexOf(answers[0]!) / context.length;
      assert.ok(Math.abs(place - depth!) < 0.08, `${name}, seed ${seed}: at ${place}, said ${depth}`);
    }
  }
});

test("niah: RULER's wording, singular for one value and plural for more", () => {
  const one = make("niah_single_2"), four = make("niah_multiquery");
  assert.match(
    one.context,
    /^A special magic number is hidden within the following text\. .* quiz you about the number /,
  );
  assert.match(one.question, /^What is the special magic number for \w+-\w+ mentioned in the provided text\?$/);
  assert.match(four.context, /^Some special magic numbers are hidden /);
  assert.match(four.question, /^What are all the special magic numbers for \w+-\w+, \w+-\w+, \w+-\w+, and \w+-\w+ /);
  assert.match(
    make("niah_single_3").answers[0]!,
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

test("niah: keys and values are as many as the task's name says", () => {
  const needles = (name: string) => make(name).context.match(/One of the special magic/g)!.length;
  assert.deepEqual(["niah_single_2", "niah_multikey_1", "niah_multivalue", "niah_multiquery"].map(needles), [
    1,
    4,
    4,
    4,
  ]);
  assert.ok(needles("niah_multikey_2") > 20, "a haystack of needles");
  const { context, answers } = make("niah_multivalue");
  assert.equal(new Set(context.match(/for [\w-]+ is: \d+/g)!.map((text) => text.split(" ")[1])).size, 1);
  assert.deepEqual(new Set(context.match(/\d{7}/g)), new Set(answers));
});

test("niah_multikey: the question's key leads to the answer and to no other value", () => {
  for (const name of ["niah_multikey_1", "niah_multikey_2", "niah_multikey_3"]) {
    const { context, question, answers } = make(name);
    const key = /for ([\w-]+) mentioned/.exec(question)![1];
    const values = [...context.matchAll(new RegExp(`for ${key} is: ([\\w-]+)\\.`, "g"))].map(([, value]) => value);
    assert.deepEqual(values, answers);
  }
});

test("vt: the chain leads from the value to every answer, in order", () => {
  const { context, question, answers } = make("vt");
  const value = /value (\d{5}) /.exec(question)![1]!;
  const lines = context.split("\n").filter((line) => line.startsWith("VAR"));
  assert.deepEqual(lines, [
    `VAR ${answers[0]} = ${value}`,
    ...answers.slice(1).map((name, i) => `VAR ${name} = VAR ${answers[i]}`),
  ]);
});

const counts = (words: string[]) => {
  const all = new Map<string, number>();
  for (const word of words) all.set(word, (all.get(word) ?? 0) + 1);
  return [...all].sort((a, b) => b[1] - a[1]);
};

test("cwe: the ten answers are the most common words, by far, also in a long list", () => {
  for (const length of [800, LENGTH, 12_000]) {
    const { context, answers } = findTask("cwe").make(haystack, length, 3);
    const order = counts([...context.matchAll(/\d+\. (\S+)/g)].map(([, word]) => word!));
    assert.deepEqual(new Set(order.slice(0, 10).map(([word]) => word)), new Set(answers));
    assert.ok(order[9]![1] >= 5 * order[10]![1], `${order[9]![1]} against ${order[10]![1]}`);
  }
});

test("fwe: the three answers follow the dots in frequency", () => {
  const { context, answers } = make("fwe");
  const order = counts(context.split("coded words. ")[1]!.split(" "));
  assert.deepEqual(order.slice(0, 4).map(([word]) => word), ["...", ...answers]);
});

test("clozes: rare names and numbers behind five words or more", () => {
  const found = clozes(
    "Anna went home. In the spring of that year she sailed with Boris to Trieste. Boris left again in the year 1871 for good. " +
      "Old Xaver died.",
  );
  assert.deepEqual(found.map(({ quoted, answer }) => [quoted, answer]), [
    ["In the spring of that year she sailed with Boris to", "Trieste"],
    ["Boris left again in the year", "1871"],
  ]);
});

test("recall: the text goes on from the quoted words with the answer", () => {
  const { context, answerPrefix, answers } = make("recall");
  assert.ok(context.replace(/\s+/g, " ").includes(`${answerPrefix.slice(1)} ${answers[0]}`));
});

test("recall: a text without rare names is refused", () => {
  const plain = { ...haystack, prose: () => "the cat saw the dog and the dog saw the cat. ".repeat(20) };
  assert.throws(() => findTask("recall").make(plain, 500, 1), { name: "InputError", message: /no name or number/ });
});

test("findTask: an unknown name is refused with those there are; the default tasks exist", () => {
  assert.throws(() => findTask("niah"), { name: "UsageError", message: /Unknown task "niah": use niah_single_1, / });
  assert.deepEqual(DEFAULT_TASKS.map((name) => findTask(name).name), DEFAULT_TASKS);
});
