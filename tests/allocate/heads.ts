/** What tests of allocation share: a context without a graph, random ragged heads, and the promises of every allocation. */
import assert from "node:assert/strict";
import { KvCache } from "../../core/cache.ts";
import type { Scores, StageContext } from "../../core/policy.ts";
import { randomNumbers } from "../host.ts";

export interface Heads {
  scores: Scores;
  context: StageContext;
}

/** Heads of these scores, nothing protected unless it is said. */
export function headsOf(layers: number, scores: Scores, budget: number, more: Partial<StageContext> = {}): Heads {
  const kvHeads = scores.length / layers;
  const cache = new KvCache({ layers, kvHeads, headDim: 1 }, 0);
  const context: StageContext = {
    engine: null as unknown as StageContext["engine"], // allocation runs no graph
    cache,
    budget,
    mostSlots: Infinity,
    tokensRead: Math.max(...scores.map((row) => row.length)),
    protectedSlots: scores.map((row) => new Uint8Array(row.length)),
    ...more,
  };
  return { scores, context };
}

/**
 * As the reader would give them: heads that held `budget` slots on the mean and no more than the most, then a chunk for each.
 * @param acrossLayers whether layers held different numbers of slots too
 */
export function raggedHeads(seed: number, acrossLayers = false): Heads {
  const random = randomNumbers(seed), layers = 1 + seed % 4, kvHeads = 1 + seed % 3, heads = layers * kvHeads;
  const budget = 12 + Math.floor(60 * random()), chunk = 1 + Math.floor(60 * random());
  const mostSlots = random() < 0.5 ? Infinity : budget + Math.floor(20 * random());
  const held = new Array<number>(heads).fill(budget);
  for (let move = 0; move < 4 * heads; move++) {
    const from = Math.floor(heads * random()), to = Math.floor(heads * random());
    const count = Math.min(Math.floor(8 * random()), held[from]! - 10, Math.min(mostSlots, 4 * budget) - held[to]!);
    const sameLayer = Math.floor(from / kvHeads) === Math.floor(to / kvHeads);
    if (from === to || count < 1 || !(sameLayer || acrossLayers)) continue;
    held[from]! -= count;
    held[to]! += count;
  }
  const scores = held.map((live) => {
    const scale = 10 ** (4 * random() - 3);
    return Float32Array.from({ length: live + chunk }, () => random() < 0.1 ? 0 : scale * random() ** 3);
  });
  const protectedSlots = scores.map((row) => new Uint8Array(row.length).fill(1, 0, 3).fill(1, -6));
  return headsOf(layers, scores, budget, { mostSlots, protectedSlots, tokensRead: 10 * budget });
}

/** At least the protected slots, at most the live ones and the most that a head may get, and the whole budget. */
export function assertQuotas(quotas: Int32Array, { scores, context }: Heads, what: string): void {
  const { budget, mostSlots, protectedSlots } = context;
  assert.equal(quotas.length, scores.length, what);
  quotas.forEach((quota, head) => {
    const guarded = protectedSlots[head]!.reduce((sum, one) => sum + one, 0);
    assert.ok(quota >= guarded, `head ${head} gets ${quota} for ${guarded} protected slots: ${what}`);
    assert.ok(quota <= Math.min(scores[head]!.length, mostSlots), `head ${head} gets ${quota}: ${what}`);
  });
  assert.equal(quotas.reduce((sum, quota) => sum + quota, 0), budget * scores.length, what);
}
