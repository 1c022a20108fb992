import assert from "node:assert/strict";
import { test } from "node:test";
import { closeThinking, withoutThinking } from "../core/text/thinking.ts";

/** The answer in a text that comes in pieces, and what each piece gave. */
function heard(pieces: string[]): { answer: string; steps: string[] } {
  const stream = withoutThinking({ push: (id) => pieces[id]!, finish: () => "" });
  const steps = pieces.map((_, id) => stream.push(id));
  return { answer: steps.join("") + stream.finish(), steps };
}

const everySplit = (text: string) => [[text], [...text], text.match(/.{1,3}/gs)!, text.match(/.{1,7}/gs)!];

test("withoutThinking: what stands between the marks at the beginning is no part of the answer, however it arrives", () => {
  const cases: [string, string][] = [
    ["<think>\nHm.\n</think>\n\nYes.", "Yes."],
    ["<think>\n\n</think>\n\nYes, <think> is a mark.", "Yes, <think> is a mark."],
    [" \n<think>a</think> <think>b</think>\nYes. ", "Yes. "],
    ["\n</think>\n\nYes.", "Yes."],
    ["[THINK]a < b[/THINK]No.", "No."],
    ["<think>never closed, </thin k>", ""],
    ["<think></think>", ""],
    ["<thinner> is no mark", "<thinner> is no mark"],
    ["<thin", "<thin"],
    ["  two spaces stay", "  two spaces stay"],
    ["", ""],
  ];
  for (const [text, answer] of cases) {
    for (const pieces of everySplit(text)) assert.equal(heard(pieces ?? []).answer, answer, JSON.stringify(text));
  }
});

test("withoutThinking: text is given as soon as it is certain", () => {
  assert.deepEqual(heard(["Yes", ".", " No"]).steps, ["Yes", ".", " No"]);
  assert.deepEqual(heard(["<", "b>"]).steps, ["", "<b>"]);
  assert.deepEqual(heard(["<think>", "a", "</think>", "\n\n", "Yes", "<"]).steps, ["", "", "", "", "Yes", "<"]);
});

test("closeThinking: closes what a template leaves open, and nothing else", () => {
  assert.equal(
    "<|assistant|><think>\n" + closeThinking("<|assistant|><think>\n"),
    "<|assistant|><think>\n\n</think>\n\n",
  );
  assert.equal("<think>" + closeThinking("<think>"), "<think>\n\n</think>\n\n");
  assert.equal(closeThinking("<think>\n\n</think>\n\n"), "");
  assert.equal(closeThinking("What is <think> for?<|assistant|>\n"), "");
});
