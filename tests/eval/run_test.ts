import assert from "node:assert/strict";
import { test } from "node:test";
import type { Measured, Reference } from "../../core/eval/measure.ts";
import {
  type EvalBudget,
  type EvalResult,
  parseEvalBudget,
  requestOf,
  spellEvalBudget,
} from "../../core/eval/result.ts";
import { type EvalEvent, type EvalPlan, type Measurer, plannedSamples, runEval } from "../../core/eval/run.ts";
import type { Sample } from "../../core/eval/task.ts";
import { costs } from "./results.ts";

const sample = (index: number, seed: number): Sample => ({
  task: "fake",
  context: `document ${index} of seed ${seed}`,
  question: "?",
  answerPrefix: "",
  answers: ["yes"],
  maxNewTokens: 4,
  metric: "all",
  seed,
});

const plan = (some: Partial<EvalPlan> & { seed?: number } = {}): EvalPlan => ({
  samples: [0, 1].map((index) => ({ task: "fake", length: 100, index, make: () => sample(index, some.seed ?? 1) })),
  policies: ["question", "full", "snapkv"],
  budgets: [{ share: 0.25 }, { slots: 64 }],
  protocols: ["aware", "agnostic"],
  identity: { model: "m", chunk: 512 },
  ...some,
});

/** Counts its work, and breaks down before the policy measurement `failAt`. */
class FakeMeasurer implements Measurer {
  fulls = 0;
  policies: string[] = [];
  constructor(private readonly failAt = Infinity) {}
  private measured(score: number): Measured {
    return { contextTokens: 100, budgetSlots: 25, score, answer: "", known: null, kl: 0, top1: 1, hitRate: 1, costs };
  }
  full(): Promise<Reference> {
    this.fulls++;
    return Promise.resolve({ measured: this.measured(1), tokens: [], logits: new Float32Array(), mass: [] });
  }
  policy(_: Sample, __: Reference, cell: { policy: string; budget: EvalBudget; protocol: string }): Promise<Measured> {
    if (this.policies.length === this.failAt) throw new Error("the plug was pulled");
    this.policies.push(`${cell.policy} ${spellEvalBudget(cell.budget)} ${cell.protocol}`);
    return Promise.resolve(this.measured(0));
  }
  asks(policy: string): boolean {
    return policy === "question";
  }
  hears(policy: string): boolean {
    return this.asks(policy) || policy === "metasoft";
  }
}

function memory() {
  const results: EvalResult[] = [];
  return {
    results,
    load: () => Promise.resolve([...results]),
    append: (result: EvalResult) => Promise.resolve(void results.push(result)),
  };
}

async function run(plan: EvalPlan, measurer: Measurer, store: ReturnType<typeof memory>): Promise<EvalEvent[]> {
  const events: EvalEvent[] = [];
  for await (const event of runEval(plan, measurer, store)) events.push(event);
  return events;
}

const found = (events: EvalEvent[]) => events.flatMap((event) => event.type === "result" ? [event] : []);

test("runEval: full once per sample, then every policy and budget; protocols that make no difference share the work", async () => {
  const measurer = new FakeMeasurer(), store = memory(), events = await run(plan(), measurer, store);
  assert.equal(measurer.fulls, 2);
  const cells = [
    "question 25% aware",
    "question 64 aware",
    "snapkv 25% aware",
    "snapkv 64 aware",
  ];
  assert.deepEqual(measurer.policies, [...cells, ...cells]);
  assert.deepEqual(store.results.map(({ policy, budget, protocol }) => [policy, budget, protocol]).slice(0, 2), [
    ["full", null, null],
    ["question", "25%", "aware"],
  ]);
  const agnostic = store.results.filter(({ protocol }) => protocol === "agnostic");
  assert.deepEqual(agnostic.map(({ policy, index }) => [policy, index]), [["snapkv", 0], ["snapkv", 0], ["snapkv", 1], [
    "snapkv",
    1,
  ]]);
  assert.deepEqual(events[0], { type: "skipped", policy: "question", protocol: "agnostic" });
  const last = events.filter((event) => event.type === "progress").at(-1)!;
  assert.deepEqual([last.done, last.total], [11, 14]);
  assert.equal(new Set(store.results.map(({ key }) => key)).size, 14);
});

test("runEval: a finished run is not measured again, and gives the same results", async () => {
  const store = memory(), first = found(await run(plan(), new FakeMeasurer(), store));
  const idle = new FakeMeasurer(), second = found(await run(plan(), idle, store));
  assert.deepEqual([idle.fulls, idle.policies.length, store.results.length], [0, 0, 14]);
  assert.deepEqual(second.map(({ result }) => result), first.map(({ result }) => result));
  assert.deepEqual([...new Set(second.map(({ fresh }) => fresh))], [false]);
});

test("runEval: a run that broke goes on where it was", async () => {
  const store = memory();
  await assert.rejects(run(plan(), new FakeMeasurer(5), store), /plug/);
  // the first sample's seven, two of them by four measurements for both protocols; the second's full and first policy
  assert.equal(store.results.length, 7 + 2);
  const rest = new FakeMeasurer(), events = found(await run(plan(), rest, store));
  // the second sample's full cache is read again: its logits are in no file
  assert.deepEqual([rest.fulls, rest.policies.length], [1, 3]);
  assert.deepEqual([store.results.length, events.length], [14, 14]);
  assert.equal(events.filter(({ fresh }) => fresh).length, 5);
});

test("runEval: a policy more costs that policy only", async () => {
  const store = memory();
  await run(plan({ policies: ["snapkv"] }), new FakeMeasurer(), store);
  const more = new FakeMeasurer();
  await run(plan({ policies: ["snapkv", "streaming"] }), more, store);
  assert.deepEqual([...new Set(more.policies.map((cell) => cell.split(" ")[0]))], ["streaming"]);
});

test("runEval: a policy that takes the question where it is told is measured under both protocols", async () => {
  const measurer = new FakeMeasurer();
  await run(plan({ policies: ["snapkv", "metasoft"], protocols: ["aware", "agnostic"] }), measurer, memory());
  const protocols = (
    policy: string,
  ) => [
    ...new Set(measurer.policies.map((cell) => cell.split(" ")).filter(([name]) => name === policy).map((of) => of[2])),
  ];
  assert.deepEqual(protocols("snapkv").length, 1);
  assert.deepEqual(protocols("metasoft").sort(), ["agnostic", "aware"]);
});

test("runEval: other learned weights are another measurement, of their policy only", async () => {
  const store = memory(), policies = ["snapkv", "judgeq"], first = new Map([["judgeq", "a"]]);
  await run(plan({ policies, weights: first }), new FakeMeasurer(), store);
  const same = new FakeMeasurer(), again = new FakeMeasurer();
  await run(plan({ policies, weights: new Map(first) }), same, store);
  assert.deepEqual(same.policies, []);
  await run(plan({ policies, weights: new Map([["judgeq", "b"]]) }), again, store);
  assert.deepEqual([...new Set(again.policies.map((cell) => cell.split(" ")[0]))], ["judgeq"]);
});

test("runEval: another seed, model or setting is another measurement", async () => {
  const changes: (Partial<EvalPlan> & { seed?: number })[] = [
    { seed: 2 },
    { identity: { model: "n", chunk: 512 } },
    { identity: { model: "m", chunk: 256 } },
  ];
  for (const change of changes) {
    const store = memory();
    await run(plan(), new FakeMeasurer(), store);
    const again = new FakeMeasurer();
    await run(plan(change), again, store);
    assert.deepEqual([again.fulls, store.results.length], [2, 28], JSON.stringify(change));
  }
});

test("parseEvalBudget: slots or a share of the document, spelled back the same", () => {
  assert.deepEqual([parseEvalBudget("512"), parseEvalBudget(" 12.5 % ")], [{ slots: 512 }, { share: 0.125 }]);
  assert.deepEqual(["512", "12.5%", "100%"].map((text) => spellEvalBudget(parseEvalBudget(text))), [
    "512",
    "12.5%",
    "100%",
  ]);
  assert.deepEqual(
    [{ share: 0.125 }, { slots: 512 }, { bytes: 2 ** 25 }].map((budget) => requestOf(budget, 2000, 37)),
    [{ slots: 250 }, { slots: 512 }, { bytes: 2 ** 25 }],
  );
  assert.deepEqual([{ bytes: 32 * 2 ** 20 }, { bytes: 1000 }].map(spellEvalBudget), ["32MiB", "1000B"]);
  for (const bad of ["", "0", "0%", "101%", "12.5", "-5", "64MiB", "x"]) {
    assert.throws(() => parseEvalBudget(bad), { name: "UsageError", message: /512.*25%/ }, bad);
  }
});

test("plannedSamples: seeds differ by sample, task, length and seed, and are the same in every run", () => {
  const seeds: number[] = [];
  const task = (name: string) => ({
    name,
    summary: "",
    needsProse: false,
    make: (_: unknown, __: number, seed: number) => sample(seeds.push(seed), seed),
  });
  const haystack = { count: () => 0, tokens: 0, prose: () => "" };
  const make = (name: string, length: number, seed: number) =>
    plannedSamples(task(name), haystack, length, 2, seed).map((planned) => planned.make().seed);
  const all = [make("a", 100, 1), make("b", 100, 1), make("a", 200, 1), make("a", 100, 2)].flat();
  assert.equal(new Set(all).size, 8);
  assert.deepEqual(make("a", 100, 1), all.slice(0, 2));
});
