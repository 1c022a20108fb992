/** Invented heads for compensating stages: random rows, a choice of what stays, attention mass. */
import { KvCache } from "../../core/cache.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { learnedSizes } from "../../core/pack/sizes.ts";
import type { Compensate, CompensateContext } from "../../core/policy.ts";
import { randomNumbers } from "../host.ts";

export interface HeadOptions {
  heads?: number;
  live?: number;
  kept?: number;
  headDim?: number;
  seed?: number;
  /** Sinks and newest slots that are protected. */
  ends?: number;
}

/** Every head keeps its own random slots, and what stays has at least the mass of what goes. */
export function inventedContext(engine: Engine, stage: Compensate, options: HeadOptions = {}): CompensateContext {
  const { heads = 3, live = 90, kept = 30, headDim = 32, seed = 1, ends = 4 } = options, random = randomNumbers(seed);
  const rows = (count: number, width: number) =>
    Array.from({ length: count }, () => Float32Array.from({ length: width }, () => 2 * random() - 1));
  const attributes = [...stage.attributes ?? []];
  const cache = new KvCache(
    { layers: 1, kvHeads: heads, headDim },
    live,
    attributes,
    stage.needs?.readout ? learnedSizes(engine.packs).latentRank : 0,
  );
  cache.append(rows(heads, live * headDim), rows(heads, live * headDim), live, 0, 0);
  const mass = rows(heads, live).map((row) => row.map((value) => 0.01 + (value + 1) / 4));
  const protectedSlots = mass.map(() => new Uint8Array(live).fill(1, 0, ends).fill(1, live - ends));
  const keep = mass.map((row, head) => {
    const rank = (slot: number) => protectedSlots[head]![slot] ? Infinity : row[slot]!;
    const order = [...row.keys()].sort((a, b) => rank(b) === rank(a) ? a - b : rank(b) - rank(a));
    return Int32Array.from(order.slice(0, kept)).sort();
  });
  return {
    engine,
    cache,
    budget: kept,
    mostSlots: Infinity,
    tokensRead: live,
    protectedSlots,
    keep,
    scores: mass,
    evidence: { mean: mass },
  };
}

/** Everything that a stage may change, copied. */
export function snapshot({ cache }: CompensateContext, stage: Compensate) {
  const copy = (pick: (head: number) => ArrayLike<number>) =>
    Array.from({ length: cache.heads }, (_, head) => Array.from(pick(head)));
  return {
    keys: copy((head) => cache.keyRows(head)),
    values: copy((head) => cache.valueRows(head)),
    source: copy((head) => cache.sources(head)),
    sums: copy((head) => cache.latent?.run(head).sums ?? []),
    norms: copy((head) => cache.latent?.run(head).norms ?? []),
    ...Object.fromEntries((stage.attributes ?? []).map((name) => [name, copy((head) => cache.attribute(name, head))])),
  };
}

/** Slots of a head that do not stay. */
export const gone = (live: number, keep: Int32Array) => {
  const kept = new Set(keep);
  return Array.from({ length: live }, (_, slot) => slot).filter((slot) => !kept.has(slot));
};

export const length = (rows: Float32Array, slot: number, d: number) =>
  Math.hypot(...rows.subarray(slot * d, (slot + 1) * d));
