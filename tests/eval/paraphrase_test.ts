import assert from "node:assert/strict";
import { test } from "node:test";
import { findTask } from "../../core/eval/tasks.ts";
import { pairs } from "../../core/eval/tasks/paraphrase_pairs.ts";
import { haystack } from "./prose.ts";

/** Words without content: articles, pronouns, prepositions, auxiliaries, question words. */
const STOP = new Set(
  ("a an the and or but nor of to in on at by for from with without into onto upon under beneath behind before after near is are was were be been being " +
    "am do does did has have had having who whom whose what which where when why how much many that this these those it its he him his she her they " +
    "them their there here as than then not no nobody only every all one ones some any other except now so if while during through over up down out " +
    "about between most more very can could may might must shall should will would").split(" "),
);

/** Content words, with the commonest endings off, so that "sew" and "sewn", "live" and "lives" are one word. */
function content(text: string): Set<string> {
  const words = text.toLowerCase().replace(/\{\w+\}/g, " ").match(/[a-z]+/g) ?? [];
  return new Set(words.filter((word) => !STOP.has(word)).map((word) => word.replace(/(ing|ed|es|s|n|e|d)$/, "")));
}

test("paraphrase: at least forty different pairs, each with one place for the answer", () => {
  assert.ok(pairs.length >= 40, `${pairs.length} pairs`);
  assert.equal(new Set(pairs.map(({ needle }) => needle)).size, pairs.length);
  assert.equal(new Set(pairs.map(({ question }) => question)).size, pairs.length);
  for (const { needle } of pairs) {
    assert.equal(needle.split("{answer}").length, 2, needle);
    assert.match(needle, /^[A-Z{].*\.$/);
  }
});

for (const { needle, question } of pairs) {
  test(`paraphrase: question and needle share no content word: ${question}`, () => {
    const asked = content(question);
    assert.ok(asked.size >= 2, "the question says something");
    assert.deepEqual([...content(needle)].filter((word) => asked.has(word)), []);
  });
}

test("paraphrase: nothing that the task adds around a question stands in any needle either", () => {
  const added = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const { question, answerPrefix } = findTask("paraphrase").make(haystack, 400, seed);
    const pair = pairs.find((pair) => question.endsWith(pair.question))!;
    for (const word of content(`${question.slice(0, -pair.question.length)} ${answerPrefix}`)) added.add(word);
  }
  assert.ok(added.size > 0);
  for (const { needle } of pairs) assert.deepEqual([...content(needle)].filter((word) => added.has(word)), [], needle);
});

test("paraphrase: what is asked for is new in every document", () => {
  const answers = Array.from({ length: 60 }, (_, seed) => findTask("paraphrase").make(haystack, 400, seed).answers[0]);
  assert.ok(new Set(answers).size >= 58, `${new Set(answers).size} different answers of 60`);
});
