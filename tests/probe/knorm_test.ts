import assert from "node:assert/strict";
import { test } from "node:test";
import { knorm } from "../../core/probe/knorm.ts";
import { inventedCache } from "./context.ts";

test("knorm: minus the length of each key, per head", async () => {
  const rows = [[[3, 4, 0], [0, 0, -2]], [[1, 2, 2], [0, 0, 0]]];
  const cache = inventedCache({ layers: 1, kvHeads: 2, headDim: 3 }, 2, {
    key: (head, slot, d) => rows[head]![slot]![d]!,
    value: () => 7,
  });
  const { score } = await knorm().look({ cache } as never);
  assert.deepEqual(score!.map((row) => Array.from(row, (value) => value + 0)), [[-5, -2], [-3, 0]]);
});
