import assert from "node:assert/strict";
import { test } from "node:test";
import { normalizerOf } from "../core/text/normalizer.ts";
import { inJavaScript, matchesOf, splitAt } from "../core/text/pattern.ts";
import { parsePattern } from "../core/text/pattern_parse.ts";
import { searcher } from "../core/text/pattern_search.ts";
import { KNOWN_PATTERNS, wordsWithDigits } from "../core/text/tokenizer_patterns.ts";
import { wordSplitter } from "../core/text/pre_tokenizer.ts";
import { randomNumbers } from "./host.ts";
import { NASTY_TEXTS } from "./synthetic_tokenizer.ts";

/** What other tokenizers may bring, and every construction that is known. */
const OTHERS = [
  "a|ab",
  "(?:ab|a)(?:b|bc)c?",
  "(?:a|b)*?c",
  "[ab]{2,3}?c|.",
  "(?:a{1,2}){2}b",
  "(?:)*a|(?:a?)*b",
  String.raw`(?<=a)b+|(?<![a\s])c`,
  String.raw`\bfoo|^a|b$`,
  "[^\\u{1F642}]+|\\uD83D\\uDE42",
  String.raw`(?=[a-c])[\s\S][^\r\n]{0,3}`,
  String.raw`[[:alpha:]]+|[[:^alpha:]]`,
  String.raw`\p{Han}+|\p{L}[^\P{L}\d]*`,
  String
    .raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
];

test("searcher: the matches of JavaScript's own engine, for every known pattern and others, on texts of all kinds", () => {
  const random = randomNumbers(7), alphabet = [..."aabbc  \n\r\t1٣'sS.,-éÉλ漢字🙂\u0301\u2028Æ_"];
  const texts = [
    ...NASTY_TEXTS,
    ...Array.from(
      { length: 300 },
      () => Array.from({ length: Math.floor(random() * 24) }, () => alphabet[Math.floor(random() * alphabet.length)]),
    ).map((letters) => letters.join("")),
  ].map((text) => text.toWellFormed());
  for (const pattern of [...KNOWN_PATTERNS, ...OTHERS]) {
    const native = inJavaScript(pattern), search = searcher(parsePattern(native.source));
    for (const text of texts) {
      const wanted = Array.from(text.matchAll(native), (m) => ({ start: m.index, end: m.index + m[0].length }));
      assert.deepEqual([...search(text)], wanted, `${pattern} in ${JSON.stringify(text)}`);
    }
  }
});

test("matchesOf: patterns that would take for ever are refused within seconds, and told", () => {
  const text = `${"a".repeat(5000)}! ${"b ".repeat(50)}`;
  for (
    const pattern of [
      "(a+)+b",
      "(?:a|a)*b",
      "(?:a|aa)+$",
      "(?:a*)*b",
      "(?:.*)(?:.*)(?:.*)(?:.*)(?:.*)=",
      "(?:(?:a?){50}){50}b",
      String.raw`(?:\p{L}|\w)+\d`,
      "a*a*a*a*b",
    ]
  ) {
    const started = performance.now(), matches = matchesOf(pattern);
    assert.throws(() => splitAt(matches, text), {
      name: "ModelError",
      message: /takes more than 512|repeats its parts/,
    });
    assert.ok(performance.now() - started < 4000, pattern);
  }
});

test("matchesOf refuses what is no pattern, or none that can be followed", () => {
  const cases = ["(", "[z-a]", "a{2,1}", String.raw`(a)\1`, "(?<n>a)", "(?<=ab)c", "a{100000}", "x".repeat(5000), "\\"];
  for (const pattern of cases) {
    assert.throws(() => matchesOf(pattern), (error: Error) => {
      assert.equal(error.name, "ModelError", pattern.slice(0, 20));
      assert.ok(error.message.length < 400, error.message);
      return true;
    });
  }
});

test("wordSplitter: a pattern that nobody knows gives the same words", () => {
  const known = wordsWithDigits(String.raw`\p{N}`),
    text = "It is a truth universally acknowledged, 1813.\n".repeat(2000);
  const split = (pattern: string) =>
    wordSplitter([{ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false }]);
  assert.deepEqual(split(`${known}|x{1000}`)(text), split(known)(text));
  const many = { type: "Split" as const, pattern: { Regex: "a" }, behavior: "Isolated", invert: false };
  assert.throws(() => wordSplitter(Array(99).fill(many)), { name: "ModelError", message: /99 steps; up to 32/ });
});

test("normalizerOf: a text that would become very long, and replacements of another form, are refused", () => {
  const by = (content: unknown, pattern: unknown = { String: "a" }) => ({ type: "Replace", pattern, content });
  const grown = normalizerOf({ type: "Sequence", normalizers: Array(9).fill(by("aaaaaaaaaa")) });
  assert.throws(() => grown("a".repeat(1000)), { name: "ModelError", message: /more than 64 characters of one/ });
  assert.equal(normalizerOf(by("$`$&"))("xay"), "x$`$&y");
  assert.equal(normalizerOf(by("-", { Regex: "a{2,}" }))("aaxa"), "-xa");
  for (const step of [by(7), by("b", { String: "" }), by("b", {}), by("b", null), by("b", { Regex: 7 })]) {
    assert.throws(() => normalizerOf(step), { name: "ModelError", message: /its normalizer replaces \S/ });
  }
  assert.throws(() => normalizerOf({ type: "Replace" }), { name: "ModelError", message: /replaces missing by "";/ });
  assert.throws(() => normalizerOf({ type: "Sequence", normalizers: Array(99).fill(by("b")) }), /more than 64 steps/);
});
