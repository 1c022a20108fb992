import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tasks } from "../core/eval/tasks.ts";
import { measuredCells } from "../core/measured.ts";
import { defaultPolicies, policies, spelling } from "../core/policies.ts";
import { stages } from "../core/stages.ts";

const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
const part = (from: string, to: string) => {
  const start = readme.indexOf(from), end = readme.indexOf(to, start + from.length);
  assert.ok(start >= 0 && end > start, `${from} … ${to}`);
  return readme.slice(start, end);
};

test("README: every named policy has a row with the stages that the code gives it, and no other has one", () => {
  const rows = part("### Named policies", "### Stages and variants").split("\n").filter((line) =>
    line.startsWith("| `")
  );
  const named = rows.map((row) => row.split("`")[1]!);
  assert.deepEqual(named.toSorted(), Object.keys(policies).sort());
  rows.forEach((row, i) => {
    const name = named[i]!;
    if (name !== "full") assert.equal(row.split("`")[3], spelling(policies[name]!.stages), name);
    const { kl = "", cost = "" } = measuredCells(name);
    assert.deepEqual(row.split("|").slice(-3, -1).map((cell) => cell.trim()), [kl, cost], name);
  });
});

test("README: every variant of every stage is named under its stage, and the default policies are", () => {
  const whole = part("### Stages and variants", "### Long answers"),
    stageNames = Object.keys(stages) as (keyof typeof stages)[];
  const title = (stage: string) => `**${stage[0]!.toUpperCase()}${stage.slice(1)}**`;
  stageNames.forEach((stage, i) => {
    const next = stageNames[i + 1];
    const text = whole.slice(
      whole.indexOf(title(stage)),
      next ? whole.indexOf(title(next)) : whole.indexOf("### Recall"),
    );
    for (const variant of Object.keys(stages[stage])) assert.ok(text.includes(`\`${variant}\``), `${stage} ${variant}`);
  });
  assert.ok(readme.includes(`| \`${defaultPolicies.ask}\`; \`${defaultPolicies.summarize}\` for summaries |`));
});

test("README: every task of eval is named", () => {
  const text = part("### eval", "### pull and models");
  for (const { name } of tasks) assert.ok(text.includes(`\`${name}\``), name);
});
