import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { UsageError } from "../../core/errors.ts";
import { parsePolicy } from "../../core/policies.ts";
import { featuresFor, needs } from "../../core/policy.ts";
import { merged } from "../../core/probe/evidence.ts";
import { mixture } from "../../core/probe/mixture.ts";
import { question } from "../../core/probe/question.ts";
import { role } from "../../core/probe/role.ts";
import { window } from "../../core/probe/window.ts";
import { openTiny, tokens } from "../tiny_llama.ts";
import { look, worst } from "./context.ts";

const { engine, close } = await openTiny({ features: { mass: ["defensive", "max", "mean"] } });
const ids = tokens(70, 3), given = { ids, size: 40, questionTokens: tokens(9, 5), answerTokens: tokens(4, 6) };

describe("mixture", () => {
  after(close);

  test("merged: the mean weighs by rows, maxima are the larger, of three as of two", () => {
    const part = (rows: number, mean: number[], max: number[]) => ({
      rows,
      mean: [Float32Array.from(mean)],
      max: [Float32Array.from(max)],
    });
    const all = merged([part(1, [0.5, 0], [0.5, 0.25]), part(3, [0.25, 1], [0.125, 1]), part(4, [0, 0], [0, 2])]);
    assert.equal(all.rows, 8);
    assert.deepEqual([...all.mean![0]!], [(0.5 + 3 * 0.25) / 8, 3 / 8]);
    assert.deepEqual([...all.max![0]!], [0.5, 2]);
    assert.deepEqual(Object.keys(all).sort(), ["max", "mean", "rows"]);
  });

  for (const [first, second, rows] of [[window(16), question(), 25], [question(), role(), 41]] as const) {
    test(`${first.name}+${second.name}: as if the rows of both had asked at once`, async () => {
      const mixed = await look(engine, mixture(first, second)!, given);
      const alone = [await look(engine, first, given), await look(engine, second, given)].map((one) => one.evidence);
      const [a, b] = alone;
      assert.equal(mixed.evidence.rows, rows);
      assert.equal(a!.rows! + b!.rows!, rows);
      for (const aggregation of ["max", "defensive"] as const) {
        const asked = a![aggregation]!.map((row, head) =>
          row.map((value, i) => Math.max(value, b![aggregation]![head]![i]!))
        );
        assert.ok(worst(mixed.evidence[aggregation]!, asked) < 1e-5, aggregation);
      }
      const asked = a!.mean!.map((row, head) =>
        row.map((value, i) => (value * a!.rows! + b!.mean![head]![i]! * b!.rows!) / rows)
      );
      assert.ok(worst(mixed.evidence.mean!, asked) < 1e-5);
    });
  }

  test("parsePolicy: spells a mixture, which needs what its probes need", () => {
    const policy = parsePolicy("probe=window+question,aggregate=mean");
    assert.equal(policy.probe.name, "window+question");
    assert.equal(policy.probe.windowRows, 64);
    assert.equal(needs(policy, "question"), true);
    assert.deepEqual(featuresFor(policy).mass, ["mean"]);
    assert.equal(needs(parsePolicy("probe=window+role"), "question"), false);
  });

  test("parsePolicy: refuses scores, a probe with itself, two of the chunk's own pass, and three", () => {
    for (const probe of ["question+knorm", "h2o+question", "role+role", "window+tova", "question+role+window"]) {
      assert.throws(
        () => parsePolicy(`probe=${probe}`),
        (error) =>
          error instanceof UsageError && error.message.includes(`"${probe}"`) && /question\+role/.test(error.message),
        probe,
      );
    }
    assert.throws(() => parsePolicy("probe=question+rule"), /Unknown probe "question\+rule"/);
    assert.throws(() => parsePolicy("probe=question+"), /Unknown probe "question\+"/);
    assert.throws(() => parsePolicy("aggregate=max+mean"), /Unknown aggregate "max\+mean"/);
  });
});
