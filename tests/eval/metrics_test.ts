import assert from "node:assert/strict";
import { test } from "node:test";
import { metricFor, score, type ScoredSample } from "../../core/eval/metrics.ts";
import { classification } from "../../core/eval/metrics/classification.ts";
import { codeSimilarity } from "../../core/eval/metrics/code.ts";
import { commonSubsequence } from "../../core/eval/metrics/common_subsequence.ts";
import { containsAll, containsAny } from "../../core/eval/metrics/contains.ts";
import { f1 } from "../../core/eval/metrics/f1.ts";
import { normalise } from "../../core/eval/metrics/normalise.ts";
import { count, retrieval } from "../../core/eval/metrics/numbers.ts";
import { rougeL } from "../../core/eval/metrics/rouge_l.ts";

const near = (actual: number, wanted: number) =>
  assert.ok(Math.abs(actual - wanted) < 1e-12, `${actual} is not ${wanted}`);

test("containsAll: share of the references, whatever the case", () => {
  near(containsAll("They are ABCDE, fghij and 12345.", ["abcde", "FGHIJ", "12345", "zzz"]), 0.75);
  assert.equal(containsAll("", ["x"]), 0);
});

test("containsAny: one reference is enough", () => {
  assert.equal(containsAny("in Paris", ["London", "paris"]), 1);
  assert.equal(containsAny("in Rome", ["London", "paris"]), 0);
});

test("normalise: lower case, no punctuation, no articles, single spaces", () => {
  assert.equal(normalise("  The  cat's (A) hat, an  “Ärger”! theatre "), "cats hat “ärger” theatre");
});

test("f1: words counted, articles and punctuation aside", () => {
  assert.equal(f1("The Eiffel Tower.", "eiffel tower"), 1);
  // common 2 of 4 words and of 3: 2·2/(4+3)
  near(f1("green door in May", "door opened May"), 4 / 7);
  // one "no" of the reference answers for one of the three
  near(f1("no no no", "no way"), 2 * 1 / 5);
  assert.equal(f1("nothing", "else"), 0);
  assert.equal(f1("", "else"), 0);
  assert.equal(f1("the", "the"), 0);
});

test("commonSubsequence: order counts, places between do not", () => {
  assert.equal(commonSubsequence("ABCBDAB", "BDCABA"), 4);
  assert.equal(commonSubsequence("abc", "cba"), 1);
  assert.equal(commonSubsequence("", "abc"), 0);
});

test("rougeL: F of the longest common subsequence", () => {
  // police the gunman: 3 of 4 words on both sides
  near(rougeL("police kill the gunman", "police ended the gunman"), 3 / 4);
  // the gunman: 2 of 4 and 4
  near(rougeL("the gunman kill police", "police killed the gunman"), 2 / 4);
  near(rougeL("a b", "a b c d"), 2 * 2 / 6);
  assert.equal(rougeL("", ""), 0);
});

test("classification: a named class counts the less, the more are named; parts of the right one's name do not count", () => {
  const classes = ["Date", "City", "Individual", "Group or organization of person", "Other entity", "Other"];
  assert.equal(classification("Type: City", "City", classes), 1);
  near(classification("City or Date", "City", classes), 1 / 2);
  assert.equal(classification("Date", "City", classes), 0);
  assert.equal(classification("Other entity", "Other entity", classes), 1);
  near(classification("Other entity", "Other", classes), 1 / 2);
});

test("count and retrieval: the share of the answer's numbers that is right", () => {
  assert.equal(count("There are 7 of them", "7"), 1);
  near(count("7 or 8, maybe 7", "7"), 2 / 3);
  assert.equal(count("seven", "7"), 0);
  assert.equal(retrieval("Paragraph 12", "Paragraph 12"), 1);
  near(retrieval("12, not 1", "Paragraph 12"), 1 / 2);
  assert.equal(retrieval("12", "12"), 0);
});

test("codeSimilarity: the first line of code against the reference", () => {
  assert.equal(codeSimilarity("\n\n```ts\n// a comment\nreturn x;\nmore", "return x;"), 1);
  // "abcd" and "abef": 2·2/8
  near(codeSimilarity("abcd", "abef"), 1 / 2);
  assert.equal(codeSimilarity("", "abc"), 0);
});

test("score: the best of several references, and of trec, triviaqa and samsum the first line only", () => {
  const sample: ScoredSample = { answers: ["big dog", "small cat"], metric: "f1" };
  assert.equal(score("a small cat", sample), 1);
  assert.equal(score("\nbig dog\nsmall cat", { ...sample, firstLine: true }), 1);
  assert.equal(score("nothing\nbig dog", { ...sample, firstLine: true }), 0);
  assert.equal(score("City", { answers: ["City"], metric: "classification", classes: ["City", "Date"] }), 1);
});

test("metricFor: RULER's and LongBench's tasks, those of LongBench-E, and any other", () => {
  const chosen = (names: string) => names.split(" ").map((name) => metricFor(name).metric);
  assert.deepEqual(chosen("niah_single_1 niah_multikey_3 vt cwe fwe"), Array(5).fill("all"));
  assert.deepEqual(chosen("qa_1 qa_2 mine constructor"), Array(4).fill("part"));
  assert.deepEqual(chosen("qasper triviaqa 2wikimqa_e"), Array(3).fill("f1"));
  assert.deepEqual(chosen("gov_report samsum"), Array(2).fill("rouge_l"));
  assert.deepEqual(chosen("trec passage_retrieval_en passage_count lcc repobench-p"), [
    "classification",
    "retrieval",
    "count",
    "code",
    "code",
  ]);
  assert.deepEqual(["trec", "triviaqa", "samsum", "qasper"].map((name) => metricFor(name).firstLine), [
    true,
    true,
    true,
    false,
  ]);
});
