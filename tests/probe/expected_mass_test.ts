import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { SINKS } from "../../core/policy.ts";
import { expected } from "../../core/probe/expected.ts";
import { expectedMass } from "../../core/probe/expected_mass.ts";
import { openTiny, tokens } from "../tiny_llama.ts";
import { look } from "./context.ts";

const { engine, close } = await openTiny({ features: { queryMoments: true } });

describe("expected mass", () => {
  after(close);

  test("expected-mass: a head's shares add up to one, and times ‖v‖₂ they are the scores of expected", async () => {
    const ids = tokens(120, 4), { headDim } = engine.config;
    const weighted = (await look(engine, expected(), { ids })).evidence.score!;
    const { evidence, cache } = await look(engine, expectedMass(), { ids });
    evidence.score!.forEach((row, head) => {
      const own = row.subarray(SINKS), values = cache.valueRows(head);
      assert.ok(Math.abs(own.reduce((a, b) => a + b, 0) - 1) < 1e-4, `head ${head}`);
      row.forEach((share, slot) => {
        if (slot < SINKS) return; // they stay anyway, and have the head's highest score in both
        const norm = Math.hypot(...values.subarray(slot * headDim, (slot + 1) * headDim));
        assert.ok(Math.abs(share * norm - weighted[head]![slot]!) < 1e-6 * (1 + weighted[head]![slot]!));
      });
    });
  });
});
