import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { expectation, expected, meanRotation } from "../../core/probe/expected.ts";
import { Rope } from "../../core/rope.ts";
import { randomNumbers } from "../host.ts";
import { difference, openTiny, tokens } from "../tiny_llama.ts";
import { look } from "./context.ts";

const { engine, close } = await openTiny({ features: { queryMoments: true } });
const { config } = engine, { headDim: d, kvHeads } = config, group = config.heads / kvHeads;

/** Mean over positions of the matrix that rotates a query of `d` dimensions (half-split). */
function rotationMatrix(first: number, count: number): number[][] {
  const { frequencies } = new Rope(config), half = d / 2;
  const matrix = Array.from({ length: d }, () => Array<number>(d).fill(0));
  for (let position = first; position < first + count; position++) {
    for (let i = 0; i < half; i++) {
      const cos = Math.cos(position * frequencies[i]!) / count, sin = Math.sin(position * frequencies[i]!) / count;
      matrix[i]![i]! += cos;
      matrix[half + i]![half + i]! += cos;
      matrix[i]![half + i]! -= sin;
      matrix[half + i]![i]! += sin;
    }
  }
  return matrix;
}

const times = (a: number[][], b: number[][]) =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
const turned = (a: number[][]) => a[0]!.map((_, j) => a.map((row) => row[j]!));

/** μ/√d and Σ/2d of the queries after rotation, in plain matrices. */
function plainExpectation(queries: number[][], first: number, count: number) {
  const rotation = rotationMatrix(first, count), n = queries.length;
  const mean = queries[0]!.map((_, i) => queries.reduce((sum, row) => sum + row[i]!, 0) / n);
  const centred = queries.map((row) => row.map((value, i) => value - mean[i]!));
  const covariance = times(turned(centred), centred).map((row) => row.map((value) => value / n));
  return {
    mean: times(rotation, mean.map((value) => [value])).map(([value]) => value! / Math.sqrt(d)),
    form: times(times(rotation, covariance), turned(rotation)).map((row) => row.map((value) => value / (2 * d))),
  };
}

describe("expected attention", () => {
  after(close);

  test("expectation: mean and covariance of the queries, rotated by the mean of the rotations", () => {
    const random = randomNumbers(5), rows = 70;
    const queries = [0, 1].map((head) =>
      Array.from({ length: rows }, () => Array.from({ length: d }, (_, i) => random() - 0.4 + head * (i % 3)))
    );
    const moments = {
      rows,
      sum: Float32Array.from(queries.flatMap((of) => turned(of).map((column) => column.reduce((a, b) => a + b)))),
      outer: Float32Array.from(queries.flatMap((of) => times(turned(of), of).flat())),
    };
    const mean = new Float32Array(2 * d), form = new Float32Array(2 * d * d);
    const rotation = meanRotation(new Rope(config), 300, 40);
    // the heads change places on the way
    expectation(moments, 1, rotation, mean, form, 0);
    expectation(moments, 0, rotation, mean, form, 1);
    const asked = [queries[1]!, queries[0]!].map((of) => plainExpectation(of, 300, 40));
    assert.ok(difference(mean, asked.flatMap((one) => one.mean)) < 1e-6);
    assert.ok(difference(form, asked.flatMap((one) => one.form.flat())) < 1e-6);
  });

  test("expected: softmax over the slots behind the sinks, mean over the group, times the value's length (graph and plain loops agree)", async () => {
    const ids = tokens(60, 9), sinks = 3, future = 20;
    const { cache, context, evidence } = await look(engine, expected(future, sinks), { ids, size: 35 });
    const rotation = meanRotation(new Rope(config), ids.length, future);
    for (let head = 0; head < cache.heads; head++) {
      const mean = new Float32Array(group * d), form = new Float32Array(group * d * d);
      const rowsOf = (flat: Float32Array) =>
        Array.from({ length: ids.length }, (_, slot) => [...flat.subarray(slot * d, (slot + 1) * d)]);
      const keys = rowsOf(cache.keyRows(head)).slice(sinks), values = rowsOf(cache.valueRows(head)).slice(sinks);
      const asked = Array<number>(keys.length).fill(0);
      for (let g = 0; g < group; g++) {
        const moments = context.chunk.queryMoments![Math.floor(head / kvHeads)]!;
        expectation(moments, head % kvHeads * group + g, rotation, mean, form, g);
        const exps = keys.map((key) => {
          let logit = 0;
          for (let i = 0; i < d; i++) {
            logit += key[i]! * mean[g * d + i]!;
            for (let j = 0; j < d; j++) logit += key[i]! * form[(g * d + i) * d + j]! * key[j]!;
          }
          return Math.exp(logit);
        });
        const sum = exps.reduce((a, b) => a + b);
        exps.forEach((value, slot) => asked[slot]! += value / sum / group * Math.hypot(...values[slot]!));
      }
      const score = evidence.score![head]!, top = Math.max(...asked);
      assert.ok(difference(score.subarray(sinks), asked) < 1e-5 * top, `head ${head}`);
      for (let slot = 0; slot < sinks; slot++) {
        assert.ok(Math.abs(score[slot]! - top) < 1e-5 * top, "sinks rank with the best");
      }
    }
  });
});
