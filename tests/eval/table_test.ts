import assert from "node:assert/strict";
import { test } from "node:test";
import { estimate, standardError, wilson } from "../../core/eval/statistics.ts";
import { aggregate, markdown, spellLoss, spellScore } from "../../core/eval/table.ts";
import { result } from "./results.ts";

const near = (actual: number, wanted: number, within = 5e-5) =>
  assert.ok(Math.abs(actual - wanted) < within, `${actual} is not ${wanted}`);

test("wilson: the published interval of 8 in 10, and the ends", () => {
  // centre (0.8 + 0.19207)/1.38415, half width 1.95996·√(0.016 + 0.0096036)/1.38415
  near(wilson(8, 10).low, 0.49016);
  near(wilson(8, 10).high, 0.94331);
  near(wilson(0, 10).high, 0.27754);
  assert.equal(wilson(0, 10).low, 0);
  near(wilson(10, 10).high, 1, 1e-12);
});

test("standardError: sample deviation over the square root of the count", () => {
  // mean 0.5, squares 0.25 + 0 + 0.25 over 2 = 0.25, over 3
  near(standardError([0, 0.5, 1])!, Math.sqrt(0.25 / 3), 1e-12);
  assert.equal(standardError([1]), null);
});

test("estimate: an interval for shares, an error for everything else", () => {
  assert.deepEqual(estimate([1, 0, 1, 1]).interval, wilson(3, 4));
  const partial = estimate([1, 0.25]);
  assert.deepEqual([partial.mean, partial.interval], [0.625, null]);
  near(partial.error!, 0.375, 1e-12);
});

/** Four samples; full gets three, question two of those and one that full has not, snapkv two quarters. */
const results = [
  ...[1, 1, 1, 0].map((score, index) => result({ index, score })),
  ...[1, 1, 0, 1].map((score, index) => result({ index, score, policy: "question", kl: index / 10 })),
  ...[0.5, 0.5].map((score, index) => result({ index, score, policy: "snapkv" })),
  result({ policy: "snapkv", protocol: "agnostic", score: 0 }),
];

test("aggregate: one row per task, length, protocol, policy and budget, in order", () => {
  const rows = aggregate(results);
  assert.deepEqual(rows.map(({ policy, protocol, score }) => [policy, protocol, score.count]), [
    ["full", null, 4],
    ["question", "aware", 4],
    ["snapkv", "aware", 2],
    ["snapkv", "agnostic", 1],
  ]);
  near(rows[1]!.kl!, 0.15, 1e-12);
  assert.equal(rows[1]!.policyMsPerChunk, 50);
});

test("aggregate: loss pairs the samples that both have", () => {
  const [full, question, snapkv] = aggregate(results);
  assert.equal(full!.loss, null);
  // differences 0, 0, 1, -1: mean 0, deviation √(2/3), error √(2/3)/2
  assert.equal(question!.loss!.mean, 0);
  near(question!.loss!.error!, Math.sqrt(2 / 3) / 2, 1e-12);
  // only the first two samples count: 1 − 0.5 twice
  assert.deepEqual([snapkv!.loss!.mean, snapkv!.loss!.error], [0.5, 0]);
});

test("aggregate: another length or task has its own full cache", () => {
  const rows = aggregate([
    ...results,
    result({ length: 4000, score: 0 }),
    result({ length: 4000, policy: "question" }),
  ]);
  assert.equal(rows.find(({ policy, length }) => policy === "question" && length === 4000)!.loss!.mean, -1);
});

test("spellScore and spellLoss: interval or error, signs, no minus zero", () => {
  assert.equal(spellScore(estimate([1, 0, 1, 1])), "75 % [30–95]");
  assert.equal(spellScore(estimate([1, 0.25])), "63 % ± 38");
  assert.equal(spellScore(estimate([0.25])), "25 %");
  assert.equal(spellLoss(null), "–");
  assert.equal(spellLoss({ mean: 0.5, count: 2, interval: null, error: 0 }), "+50 ± 0");
  assert.equal(spellLoss({ mean: -0.001, count: 2, interval: null, error: 0.1 }), "0 ± 10");
  assert.equal(spellLoss({ mean: -0.25, count: 1, interval: null, error: null }), "-25");
});

test("markdown: a table with as many cells in every line, and what the figures are worth", () => {
  const known = result({ index: 9, score: 0, task: "recall", known: 0.5, policy: "full" });
  const text = markdown(aggregate([...results, known])), lines = text.split("\n");
  const table = lines.filter((line) => line.startsWith("|"));
  assert.equal(table.length, 2 + 5);
  assert.equal(new Set(table.map((line) => line.split("|").length)).size, 1);
  assert.match(
    table[3]!,
    /^\| niah_single_2 \| 2000 \| aware \| question \| 25% \(498\) \| 4 \| 75 % \[30–95\] \| 0 ± 41 \| 0\.150 \| 75 % \| 40 % \| 50 \|/,
  );
  assert.match(text, /niah_single_2 at 2000 tokens: 4 samples are few/);
  assert.match(text, /The model cannot do recall at 2000 tokens with everything kept \(0 %\)/);
  assert.match(text, /recall at 2000 tokens: without the document the model scores 50 %/);
});
