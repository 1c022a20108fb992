import assert from "node:assert/strict";
import { test } from "node:test";
import { bestPassages, type Salient } from "../../core/recall/quote.ts";
import { passageBlock, passageText } from "../../core/text/passages.ts";
import { randomNumbers } from "../host.ts";

/** Tokens 100, 101, … at the given places, with weight where `heavy` says so. */
function known(sources: number[], heavy: Record<number, number>): Salient[] {
  return sources.map((source) => ({ source, token: 1000 + source, weight: heavy[source] ?? 0.001 }));
}
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const sourcesOf = (passage: ReturnType<typeof bestPassages>[number]) =>
  passage.pieces.flatMap(({ from, tokens }) => tokens.map((_, i) => from + i));

test("bestPassages: the heaviest stretches, none twice, the best one last", () => {
  const passages = bestPassages(known(range(10, 1000), { 200: 5, 205: 5, 600: 8, 900: 1 }), 3);
  assert.equal(passages.length, 3);
  const [third, second, best] = passages.map(sourcesOf);
  assert.ok(best!.includes(200) && best!.includes(205));
  assert.ok(second!.includes(600));
  assert.ok(third!.includes(900));
  const all = passages.flatMap(sourcesOf);
  assert.equal(new Set(all).size, all.length, "no token twice");
});

test("bestPassages: tokens keep their ids and order, gaps split a passage into pieces", () => {
  const [passage] = bestPassages(known([...range(100, 110), ...range(115, 130)], { 105: 9, 118: 9 }), 1);
  assert.deepEqual(passage!.pieces.map(({ from, tokens }) => [from, tokens.length]), [[100, 10], [115, 15]]);
  for (const { from, tokens } of passage!.pieces) {
    tokens.forEach((token, i) => assert.equal(token, 1000 + from + i));
  }
});

test("bestPassages: any input gives passages of what is known, within the length that the reserve counts on", () => {
  const random = randomNumbers(5);
  for (let round = 0; round < 200; round++) {
    const sources = range(0, 400).filter(() => random() < [0.05, 0.5, 1][round % 3]!);
    const list = sources.map((source) => ({ source, token: source, weight: random() ** 8 }));
    const count = 1 + round % 5, passages = bestPassages(list, count);
    assert.ok(passages.length <= count);
    assert.equal(passages.length === 0, list.length === 0);
    const all = passages.flatMap(sourcesOf);
    assert.equal(new Set(all).size, all.length);
    for (const source of all) assert.ok(sources.includes(source));
    for (const passage of passages) assert.ok(sourcesOf(passage).length <= 64 + 24);
  }
});

test("passageBlock: nothing without passages, else all of them in their order", () => {
  assert.equal(passageBlock([]), "");
  assert.match(passageBlock(["one", "two"]), /^\n\n[^]*"…one…"\n\n"…two…"$/);
});

test("passageText: pieces joined by …, white space as one space, broken characters left out", () => {
  const words: Record<number, string> = { 1: "a ", 2: "\n b", 3: "c\uFFFD" };
  const tokenizer = { textStream: () => ({ push: (id: number) => words[id]!, finish: () => "" }) };
  assert.equal(
    passageText(tokenizer as never, { pieces: [{ from: 4, tokens: [1, 2] }, { from: 9, tokens: [3] }] }),
    "a b … c",
  );
});
