import assert from "node:assert/strict";
import { test } from "node:test";
import { negativeLogLikelihood } from "../../core/decode/log_probabilities.ts";
import { hitRate, klDivergence, topOneAgreement } from "../../core/eval/fidelity.ts";

const near = (actual: number, wanted: number) =>
  assert.ok(Math.abs(actual - wanted) < 1e-6, `${actual} is not ${wanted}`);
/** Logits of probabilities, with any shift. */
const logits = (shift: number, ...probabilities: number[]) => probabilities.map((p) => Math.log(p) + shift);

test("klDivergence: mean over rows, in nats, whatever the logits are shifted by", () => {
  const full = Float32Array.of(...logits(3, 0.5, 0.25, 0.25), ...logits(0, 0.1, 0.1, 0.8));
  const policy = Float32Array.of(...logits(-7, 0.25, 0.25, 0.5), ...logits(0, 0.1, 0.1, 0.8));
  // 0.5 ln 2 + 0.25 ln 1 + 0.25 ln ½ = 0.25 ln 2 in the first row, 0 in the second
  near(klDivergence(full, policy, 3), 0.25 * Math.log(2) / 2);
  // and not the other way round: 0.25 ln ½ + 0.5 ln 2 = 0.25 ln 2 too, so an asymmetric pair
  const a = Float32Array.of(...logits(0, 0.9, 0.1)), b = Float32Array.of(...logits(0, 0.5, 0.5));
  near(klDivergence(a, b, 2), 0.9 * Math.log(1.8) + 0.1 * Math.log(0.2));
  near(klDivergence(b, a, 2), 0.5 * Math.log(0.5 / 0.9) + 0.5 * Math.log(5));
});

test("klDivergence: equal rows give 0, huge logits stay finite, and shapes must agree", () => {
  const row = Float32Array.of(1000, -1000, 999);
  assert.equal(klDivergence(row, row, 3), 0);
  assert.ok(Number.isFinite(klDivergence(row, Float32Array.of(-1000, 1000, 0), 3)));
  assert.throws(() => klDivergence(row, row.subarray(1), 3), /Cannot compare 3 with 2 logits/);
  assert.throws(() => klDivergence(row, row, 2), /vocabulary of 2/);
});

test("negativeLogLikelihood: mean over rows of −ln p of the row's token, and a token for every row", () => {
  const rows = Float32Array.of(...logits(3, 0.5, 0.25, 0.25), ...logits(-1, 0.1, 0.1, 0.8));
  near(negativeLogLikelihood(rows, [1, 2], 3), -(Math.log(0.25) + Math.log(0.8)) / 2);
  assert.throws(() => negativeLogLikelihood(rows, [1], 3), /Cannot score 1 tokens with 6 logits/);
  assert.throws(() => negativeLogLikelihood(new Float32Array(0), [], 3), /Cannot score 0 tokens/);
});

test("topOneAgreement: share of rows with the same first largest logit", () => {
  const full = Float32Array.of(1, 2, 0, /**/ 5, 5, 0, /**/ 0, 0, 1);
  const policy = Float32Array.of(0, 9, 1, /**/ 0, 5, 5, /**/ 7, 0, 8);
  assert.equal(topOneAgreement(full, policy, 3), 2 / 3);
});

test("hitRate: share of the most attended slots that were kept, mean over heads", () => {
  const mass = [Float32Array.of(0.1, 0.5, 0.2, 0.2), Float32Array.of(0.4, 0.3, 0.2, 0.1)];
  // the best two are 1 and 2 (the earlier of equals), and 0 and 1
  assert.equal(hitRate(mass, [[1, 2], [0, 1]], 2), 1);
  assert.equal(hitRate(mass, [[1, 3], [2, 3]], 2), (1 / 2 + 0) / 2);
  // heads may keep different numbers; slots without a source of their own hit nothing
  assert.equal(hitRate(mass, [[-1, 1], [0, 1, 2]], 2), (1 / 2 + 1) / 2);
  // a budget larger than the document wants all of it
  assert.equal(hitRate(mass, [[0, 1, 2, 3], [0, 1]], 9), (1 + 1 / 2) / 2);
});
