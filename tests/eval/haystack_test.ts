import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, haystackOf, hide } from "../../core/eval/haystack.ts";
import { seeded } from "../../core/eval/random.ts";
import { haystack, text, tokenizer } from "./prose.ts";

test("haystack.prose: whole sentences of the text, at most a sentence shorter than asked for", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const piece = haystack.prose(2000, seeded(seed)), count = haystack.count(piece);
    assert.ok(text.includes(piece), "a stretch of the text as it stands");
    assert.match(piece, /^(The|In)\b[\s\S]*\.$/);
    assert.ok(count <= 2000 && count > 1900, `${count} tokens of 2000`);
  }
});

test("haystack.prose: the seed decides the place, the whole text is a place too", () => {
  assert.equal(haystack.prose(500, seeded(7)), haystack.prose(500, seeded(7)));
  assert.notEqual(haystack.prose(500, seeded(7)), haystack.prose(500, seeded(8)));
  assert.equal(haystack.prose(haystack.tokens, seeded(1)).length, text.length);
});

test("haystack.prose: characters of several tokens are never cut in two", () => {
  const japanese = haystackOf(tokenizer, "日本語のテキストには空白がない。".repeat(60));
  for (let seed = 0; seed < 20; seed++) {
    assert.doesNotMatch(japanese.prose(101, seeded(seed)), /\uFFFD/);
  }
});

test("haystack.prose: prose that is too short is refused with what would work", () => {
  assert.throws(() => haystackOf(tokenizer, "The cat.").prose(100, seeded(1)), {
    name: "InputError",
    message: /The prose has \d+ tokens and a document of 100 .*--length/,
  });
});

test("hide: depth 0 is before the first sentence, 1 behind the last, 0.5 in the middle", () => {
  const prose = "One. Two! Three? Four.";
  assert.equal(hide(prose, [{ text: "X.", depth: 0 }]), "X. One. Two! Three? Four.");
  assert.equal(hide(prose, [{ text: "X.", depth: 0.5 }]), "One. Two! X. Three? Four.");
  assert.equal(hide(prose, [{ text: "X.", depth: 1 }]), "One. Two! Three? Four. X.");
  const two = [{ text: "X.", depth: 0.5 }, { text: "Y.", depth: 0.5 }];
  assert.equal(hide(prose, two), "One. Two! X. Y. Three? Four.");
});

test("fill: the largest text that has at most so many tokens", () => {
  const make = (n: number) => Array(n).fill("cat dog").join("\n");
  const { n, text } = fill(haystack, 100, make);
  assert.equal(text, make(n));
  assert.ok(haystack.count(make(n)) <= 100 && haystack.count(make(n + 1)) > 100);
});
