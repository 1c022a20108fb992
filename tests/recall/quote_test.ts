import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownText } from "../../core/recall/known_text.ts";
import { bestPassages, type Salient } from "../../core/recall/quote.ts";
import { passageBlock, passageText } from "../../core/text/passages.ts";
import { randomNumbers } from "../host.ts";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
/** Slots at the given places, with weight where `heavy` says so. */
const slots = (sources: number[], heavy: Record<number, number>): Salient[] =>
  sources.map((source) => ({ source, weight: heavy[source] ?? 0.001 }));
/** Tokens 1000, 1001, … at places 0, 1, …, as far as they are known. */
function knownText(sources: number[]): KnownText {
  const text = new KnownText();
  for (const source of sources) text.append([1000 + source], source);
  return text;
}
const sourcesOf = (passage: ReturnType<typeof bestPassages>[number]) =>
  passage.pieces.flatMap(({ from, tokens }) => tokens.map((_, i) => from + i));

test("bestPassages: the heaviest stretches, none twice, the best one last, those of less than half its weight not at all", () => {
  const text = knownText(range(0, 1000)), known = slots(range(10, 1000), { 200: 5, 205: 5, 600: 8, 700: 6, 900: 1 });
  const passages = bestPassages(known, text, 5);
  assert.equal(passages.length, 3);
  const [third, second, best] = passages.map(sourcesOf);
  assert.ok(best!.includes(200) && best!.includes(205));
  assert.ok(second!.includes(600));
  assert.ok(third!.includes(700));
  const all = passages.flatMap(sourcesOf);
  assert.equal(new Set(all).size, all.length, "no token twice");
  assert.deepEqual(bestPassages(known, text, 2).map(sourcesOf), [second, best]);
});

test("bestPassages: what no slot holds but the text knows is there; gaps split a passage into pieces", () => {
  const text = knownText([...range(100, 120), ...range(125, 140)]);
  const [passage] = bestPassages(slots([105, 110, 128], { 105: 9, 128: 9 }), text, 1);
  assert.deepEqual(passage!.pieces.map(({ from, tokens }) => [from, tokens.length]), [[105, 15], [125, 15]]);
  for (const { from, tokens } of passage!.pieces) {
    tokens.forEach((token, i) => assert.equal(token, 1000 + from + i));
  }
});

test("bestPassages: any input gives passages of what is known, within the length that the reserve counts on", () => {
  const random = randomNumbers(5), text = knownText(range(0, 420));
  for (let round = 0; round < 200; round++) {
    const sources = range(0, 400).filter(() => random() < [0.05, 0.5, 1][round % 3]!);
    const list = sources.map((source) => ({ source, weight: random() ** 8 }));
    const count = 1 + round % 5, passages = bestPassages(list, text, count);
    assert.ok(passages.length <= count);
    assert.equal(passages.length === 0, list.length === 0);
    const all = passages.flatMap(sourcesOf);
    assert.equal(new Set(all).size, all.length);
    for (const passage of passages) {
      const mine = sourcesOf(passage);
      assert.ok(mine.length <= 64 + 24);
      assert.ok(mine.some((source) => sources.includes(source)));
    }
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
