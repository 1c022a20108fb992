import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestName } from "../core/nearest_name.ts";
import { policies } from "../core/policies.ts";

const NAMES = Object.keys(policies);

test("nearestName: swapped, missing, wrong and additional letters, and capitals", () => {
  for (
    const [typed, meant] of [
      ["snapvk", "snapkv"],
      ["snpkv", "snapkv"],
      ["critcal-question", "critical-question"],
      [
        "SnapKV",
        "snapkv",
      ],
      ["question_quote", "question-quote"],
      ["streamingg", "streaming"],
    ] as const
  ) {
    assert.equal(nearestName(typed, NAMES), meant);
  }
});

test("nearestName: every name is nearest to itself, and what is like none gives none", () => {
  for (const name of NAMES) assert.equal(nearestName(name, NAMES), name);
  for (const typed of ["wishful", "", "x", "kv-budget"]) assert.equal(nearestName(typed, NAMES), null);
  assert.equal(nearestName("anything", []), null);
});
