/**
 * Runs a plan: every sample under every policy, budget and protocol, the full cache first. Results go to a store as they come, so that a run that was
 * stopped goes on where it was; what another run of the same model, settings and samples has measured is not measured again.
 */
import type { Measured, Reference } from "./measure.ts";
import { hash } from "./random.ts";
import { FULL } from "./reading.ts";
import { MAP_POLICY } from "../map_reduce.ts";
import type { Strategy } from "../strategy.ts";
import { type Cell, type EvalBudget, type EvalResult, type Protocol, spellCell, spellEvalBudget } from "./result.ts";
import type { Haystack } from "./haystack.ts";
import type { Sample, Task } from "./task.ts";

/** Raised when a change makes older results incomparable. */
const VERSION = 2;

/** A sample that is made when its turn comes: hundreds of long documents need not stand in memory. */
export interface PlannedSample {
  task: string;
  length: number | null;
  index: number;
  make(): Sample;
}

/** Documents of one task and length, each with a seed of its own: tasks and lengths must not all hide the same number at the same place. */
export function plannedSamples(
  task: Task,
  haystack: Haystack,
  length: number,
  count: number,
  seed: number,
): PlannedSample[] {
  return Array.from({ length: count }, (_, index) => ({
    task: task.name,
    length,
    index,
    make: () => task.make(haystack, length, parseInt(hash(`${seed}/${task.name}/${length}/${index}`).slice(-8), 16)),
  }));
}

export interface EvalPlan {
  samples: readonly PlannedSample[];
  /** `full` is always measured and need not be named. */
  policies: readonly string[];
  /** Default: `stream` alone. */
  strategies?: readonly Strategy[];
  budgets: readonly EvalBudget[];
  protocols: readonly Protocol[];
  /** All else that a figure depends on: model, device, chunk, positions. */
  identity: Readonly<Record<string, string | number>>;
  /** What a policy's figures depend on beside: its learned weights, by the policy's name. Default: none has any. */
  weights?: ReadonlyMap<string, string>;
}

/** Where results are kept. */
export interface ResultStore {
  /** Everything there is, other runs' results too. */
  load(): Promise<EvalResult[]>;
  append(result: EvalResult): Promise<void>;
}

/** Does the work (`measure.ts`); a test puts something quick in its place. */
export interface Measurer {
  full(sample: Sample): Promise<Reference>;
  policy(
    sample: Sample,
    reference: Reference,
    cell: Cell,
  ): Promise<Measured>;
  /**
   * Whether the policy asks with the question. One that does is left out of the agnostic protocol, and said so; one that does not reads the same under
   * both, and is measured once.
   */
  asks(policy: string): boolean;
  /** Whether it reads otherwise where the question is told. */
  hears(policy: string): boolean;
}

export type EvalEvent =
  /** A policy that a protocol has no place for. */
  | { type: "skipped"; policy: string; protocol: Protocol }
  /** `done` of `total` results are there. */
  | { type: "progress"; done: number; total: number; sample: string; policy: string; budget: string | null }
  /** Measured now (`fresh`) or found in the store. */
  | { type: "result"; result: EvalResult; fresh: boolean };

/** @throws what the measurer throws; results until then are in the store */
export async function* runEval(plan: EvalPlan, measurer: Measurer, store: ResultStore): AsyncGenerator<EvalEvent> {
  const found = new Map((await store.load()).map((result) => [result.key, result]));
  const cells: Cell[] = [];
  const { strategies = ["stream"], budgets } = plan;
  for (const protocol of plan.protocols) {
    for (const policy of plan.policies.filter((policy) => policy !== FULL)) {
      if (protocol === "agnostic" && measurer.asks(policy)) {
        yield { type: "skipped", policy, protocol };
        continue;
      }
      for (const strategy of strategies.filter((one) => one !== "map-reduce")) {
        for (const budget of budgets) cells.push({ policy, strategy, budget, protocol });
      }
    }
    if (!strategies.includes("map-reduce")) continue;
    // every part is asked the question
    if (protocol === "agnostic") yield { type: "skipped", policy: "map-reduce", protocol };
    else for (const budget of budgets) cells.push({ policy: MAP_POLICY, strategy: "map-reduce", budget, protocol });
  }
  const total = plan.samples.length * (cells.length + 1);
  let done = 0;
  for (const planned of plan.samples) {
    const sample = planned.make(), name = `${planned.task} ${planned.index + 1}`;
    const progress = (policy: string, budget: string | null): EvalEvent => ({
      type: "progress",
      done,
      total,
      sample: name,
      policy,
      budget,
    });
    const identity = [VERSION, plan.identity, planned.task, planned.length, planned.index, hash(contentOf(sample))];
    const key = (cell: Cell | null) => keyOf(identity, cell, cell ? plan.weights?.get(cell.policy) : undefined);
    const result = (cell: Cell | null, measured: Measured): EvalResult => ({
      key: key(cell),
      task: planned.task,
      metric: sample.metric,
      length: planned.length,
      index: planned.index,
      seed: sample.seed,
      depth: sample.depth ?? null,
      policy: cell ? spellCell(cell) : FULL,
      strategy: cell?.strategy ?? null,
      budget: cell ? spellEvalBudget(cell.budget) : null,
      protocol: cell?.protocol ?? null,
      answers: sample.answers,
      ...measured,
    });
    const missing = cells.filter((cell) => !found.has(key(cell)));
    const known = found.get(key(null));
    let reference: Reference | null = null;
    if (known && missing.length === 0) {
      done++;
      yield { type: "result", result: known, fresh: false };
    } else {
      // a policy that is new to this sample needs the full cache's logits, which no file keeps
      yield progress(FULL, null);
      reference = await measurer.full(sample);
      const fresh = known === undefined;
      if (fresh) await store.append(result(null, reference.measured));
      done++;
      yield { type: "result", result: known ?? result(null, reference.measured), fresh };
    }
    for (const cell of cells) {
      let one = found.get(key(cell));
      const fresh = one === undefined;
      if (!one) {
        const twin = { ...cell, protocol: cell.protocol === "aware" ? "agnostic" as const : "aware" as const };
        const same = measurer.hears(cell.policy) || cell.strategy === "map-reduce" ? undefined : found.get(key(twin));
        if (same) one = { ...same, key: key(cell), protocol: cell.protocol };
        else {
          yield progress(spellCell(cell), spellEvalBudget(cell.budget));
          one = result(cell, await measurer.policy(sample, reference!, cell));
        }
        found.set(one.key, one);
        await store.append(one);
      }
      done++;
      yield { type: "result", result: one, fresh };
    }
  }
}

const keyOf = (identity: unknown[], cell: Cell | null, weights?: string): string =>
  hash(JSON.stringify([
    identity,
    cell && [cell.policy, cell.strategy, spellEvalBudget(cell.budget), cell.protocol, ...(weights ? [weights] : [])],
  ]));

/** What a sample is, so that another prose, seed or wording is another sample. */
const contentOf = (sample: Sample): string =>
  JSON.stringify([
    sample.context,
    sample.question,
    sample.answerPrefix,
    sample.answers,
    sample.maxNewTokens,
    sample.metric,
    sample.classes ?? null,
  ]);
