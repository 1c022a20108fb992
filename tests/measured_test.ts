import assert from "node:assert/strict";
import { test } from "node:test";
import { measured, measuredRow } from "../core/measured.ts";
import { policies } from "../core/policies.ts";

test("measured: figures of policies that exist, and possible ones", () => {
  for (const [name, { kl, cost }] of Object.entries(measured)) {
    assert.ok(Object.hasOwn(policies, name), name);
    for (const value of kl ?? []) assert.ok(value >= 0 && value < 20, name);
    assert.ok(cost === undefined || (cost >= 0 && cost < 1), name);
  }
});

test("measuredRow: what there is of it", () => {
  assert.equal(measuredRow("no such policy"), "");
  for (const [name, { kl, cost }] of Object.entries(measured)) {
    const row = measuredRow(name);
    assert.equal(row.includes("KL"), kl !== undefined);
    assert.equal(row.includes("of reading"), cost !== undefined);
  }
});
