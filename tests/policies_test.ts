import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_FEATURES } from "../core/engine/features.ts";
import { UsageError } from "../core/errors.ts";
import { defaultPolicies, parsePolicy, policies, policyGroup, spelling } from "../core/policies.ts";
import { featuresFor, policyRecord } from "../core/policy.ts";

const record = (spec: string) => policyRecord(parsePolicy(spec));

test("parsePolicy: every named policy is the combination that its table says, and tells what it costs", () => {
  for (const [name, { stages, summary, paper, needs, cost }] of Object.entries(policies)) {
    assert.deepEqual(record(name), { name, ...stages });
    for (const text of [summary, paper, needs, cost]) assert.ok(text.length > 0, name);
  }
  assert.ok(["full", "streaming", "snapkv", "question"].every((name) => Object.hasOwn(policies, name)));
});

test("parsePolicy: only full evicts nothing", () => {
  for (const name of Object.keys(policies)) assert.equal(parsePolicy(name).evicts, name !== "full", name);
  assert.equal(parsePolicy("probe=none,aggregate=none").evicts, true);
});

test("parsePolicy: a spelling names what differs from question, with spaces allowed", () => {
  const { name: _, ...question } = record("question");
  assert.deepEqual(record("probe=window"), { name: "probe=window", ...question, probe: "window" });
  const spelled = "probe=none, aggregate = none,select=spread";
  assert.deepEqual(record(spelled), { name: spelled, ...question, probe: "none", aggregate: "none", select: "spread" });
  const { name: __, ...snapkv } = record("snapkv");
  assert.deepEqual(record("probe=window,aggregate=mean"), { name: "probe=window,aggregate=mean", ...snapkv });
});

test("policyGroup: what the stages need, not what the policy is called, and the words agree", () => {
  for (const [name, { needs }] of Object.entries(policies)) {
    const group = policyGroup(name), known = /^the (question|instruction) before the document/.test(needs);
    if (group === "default") assert.ok(Object.values<string>(defaultPolicies).includes(name));
    else assert.equal(group === "question", known, name);
  }
  assert.deepEqual(["random", "streaming", "full"].map(policyGroup), ["baseline", "baseline", "baseline"]);
  const groups = ["role", "role+question", "random"].map((probe) => policyGroup(`probe=${probe}`));
  assert.deepEqual(groups, ["agnostic", "question", "baseline"]);
});

test("spelling: the shortest pairs that parsePolicy reads as these stages", () => {
  for (const { stages } of Object.values(policies)) {
    const spelled = spelling(stages), { name: _, ...read } = record(spelled);
    assert.deepEqual(read, stages, spelled);
  }
  assert.equal(spelling(policies["question"]!.stages), "probe=question");
  assert.equal(spelling(policies["snapkv"]!.stages), "probe=window,aggregate=mean");
});

test("parsePolicy: only attention probes need mass, and the graph is told how to aggregate", () => {
  const features = (spec: string) => featuresFor(parsePolicy(spec));
  assert.deepEqual(features("question"), { ...NO_FEATURES, mass: ["max"] });
  assert.deepEqual(features("snapkv"), { ...NO_FEATURES, mass: ["mean"] });
  for (const name of ["streaming", "full"]) assert.deepEqual(features(name), NO_FEATURES);
  // what makes a score of mass needs its own, whatever the aggregate would have taken
  assert.deepEqual(features("probe=h2o,aggregate=max").mass, ["mean"]);
  assert.deepEqual(features("probe=kvzip,aggregate=mean").mass, ["max"]);
});

test("parsePolicy: what is unknown is a UsageError that names it and what works", () => {
  const refused = (spec: string, message: RegExp) =>
    assert.throws(() => parsePolicy(spec), (error) => error instanceof UsageError && message.test(error.message), spec);
  refused("snapvk", /"snapvk".*snapkv/);
  refused("", /""/);
  refused("toString", /"toString"/);
  refused("prob=window", /stage "prob".*probe/);
  refused("toString=window", /stage "toString".*probe/);
  refused("probe=windows", /probe "windows".*window/);
  refused("probe=toString", /probe "toString".*window/);
  refused("probe=", /probe ""/);
  refused("probe=window,", /stage ""/);
  refused("probe=window=2", /probe "window=2".*window/);
  refused("probe=window,probe=none", /probe twice/);
});
