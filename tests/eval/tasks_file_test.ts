import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTasksFile } from "../../core/eval/tasks_file.ts";

const good = {
  context: "Anna lives in Rome.",
  question: "Where?",
  answer: ["Rome"],
  answer_prefix: " In",
  max_new_tokens: 8,
};

test("parseTasksFile: kvpress's columns become samples, empty lines and a byte-order mark are passed over", () => {
  const lines = [good, { ...good, task: "trec", answers: "City", answer: undefined, all_classes: ["City", "Date"] }];
  const [one, two, ...more] = parseTasksFile("\uFEFF" + lines.map((line) => JSON.stringify(line)).join("\r\n\n"), "t");
  assert.deepEqual(more, []);
  assert.deepEqual(one, {
    task: "file",
    context: "Anna lives in Rome.",
    question: "Where?",
    answerPrefix: "In",
    answers: ["Rome"],
    maxNewTokens: 8,
    metric: "part",
    guessable: true,
    seed: 0,
  });
  assert.deepEqual([two!.task, two!.metric, two!.firstLine, two!.classes, two!.answers, two!.seed], [
    "trec",
    "classification",
    true,
    ["City", "Date"],
    ["City"],
    1,
  ]);
});

test("parseTasksFile: prefix and length may be missing, a number may be an answer, a metric may be named", () => {
  const [sample] = parseTasksFile(
    JSON.stringify({ context: "c", question: "q", answer: 42, metric: "f1", task: "qa_1" }),
    "t",
  );
  assert.deepEqual([sample!.answers, sample!.answerPrefix, sample!.maxNewTokens, sample!.metric], [
    ["42"],
    "",
    128,
    "f1",
  ]);
});

const faults: [line: unknown, says: RegExp][] = [
  ["{oops", /my\.jsonl, line 2 is not JSON: /],
  ["[1]", /my\.jsonl, line 2 must be a JSON object/],
  [{ ...good, context: undefined }, /my\.jsonl, line 2: context must be a text, it is missing/],
  [{ ...good, context: " " }, /line 2: context must be a text that is not empty/],
  [{ ...good, question: 7 }, /line 2: question must be a text, current value is 7/],
  [{ ...good, answer: undefined }, /line 2: answer must be a text or a list of texts, it is missing/],
  [{ ...good, answer: [] }, /line 2: answer must be a text or a list/],
  [{ ...good, answer: ["a", null] }, /line 2: answer must be a text or a list/],
  [{ ...good, answers: [""] }, /line 2: answers must be a text or a list/],
  [{ ...good, max_new_tokens: 0 }, /line 2: max_new_tokens must be a whole number from 1 on, current value is 0/],
  [{ ...good, max_new_tokens: "8" }, /line 2: max_new_tokens/],
  [{ ...good, metric: "bleu" }, /line 2: metric must be one of all, part, f1, .*current value is "bleu"/],
  [{ ...good, task: "trec" }, /line 2: all_classes must be a text or a list of texts, it is missing/],
  [{ ...good, task: 5 }, /line 2: task must be a text/],
];
for (const [line, says] of faults) {
  const spelled = typeof line === "string" ? line : JSON.stringify(line);
  test(`parseTasksFile refuses ${spelled.slice(0, 100)}`, () => {
    const text = `${JSON.stringify(good)}\n${spelled}\n`;
    assert.throws(() => parseTasksFile(text, "my.jsonl"), { name: "InputError", message: says });
  });
}

test("parseTasksFile refuses a file without tasks", () => {
  assert.throws(() => parseTasksFile("\n \n", "my.jsonl"), { name: "InputError", message: /my\.jsonl has no task/ });
});
