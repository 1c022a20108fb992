/**
 * Raw scores of the policy vectors: what probe and aggregate give after the whole prompt, held against `scores.safetensors`. A wrapper (adakv,
 * criticalkv, …) names the score that it wraps by its `score_key`, and gets it from here like the policy itself.
 */
import { mean } from "../../core/aggregate/mean.ts";
import { none as unpooled } from "../../core/aggregate/none.ts";
import type { KvCache } from "../../core/cache.ts";
import type { Engine, PassResult } from "../../core/engine/engine.ts";
import type { GraphFeatures } from "../../core/engine/features.ts";
import type { ProbeContext, Scores } from "../../core/policy.ts";
import { none as place } from "../../core/probe/none.ts";
import { window } from "../../core/probe/window.ts";
import { fakeTokenizer } from "../tiny_llama.ts";
import { cacheFor, forward } from "./forward.ts";
import type { Arrays } from "./open.ts";
import { joined, type Manifest, type PolicyFile, sinksOf } from "./policy_files.ts";
import { type Check, closeRelative, equal } from "./report.ts";

const SCORES = 5e-5;

export interface Scorer {
  /** Parameters of the vector that it takes, all of them numbers. */
  takes: readonly string[];
  /** What it asks of the graph. */
  features: Partial<GraphFeatures>;
  /** Forwards the prompt onto the empty cache, which has room for it, and gives the score of each slot, after comparing it with the vector's. */
  score(run: ScoreRun): Promise<Scores>;
}

export interface ScoreRun {
  engine: Engine;
  cache: KvCache;
  manifest: Manifest;
  vector: PolicyFile;
  /** `scores.safetensors` */
  stored: Arrays;
  /** Comparisons are added here. */
  checks: Check[];
}

/** By the word of the `score_key`. */
const scorers: Record<string, Scorer> = {
  streaming_llm: { takes: ["n_sink"], features: {}, score: placeScores },
  snapkv: { takes: ["window", "kernel"], features: { mass: ["mean"] }, score: windowScores },
};

/** The scorer of a vector; undefined where there is none. */
export function scorerOf({ score_key }: PolicyFile): Scorer | undefined {
  const word = score_key.replace(/_c[\d.]+$/, "");
  // PyramidKV scores as SnapKV does, with its own window
  return scorers[word.startsWith("pyramidkv") ? "snapkv" : word];
}

/** kvpress scores 1 and 0, our probe the place: sinks aside, they agree when no 0 stands above a 1. */
async function placeScores({ engine, cache, manifest, vector, stored, checks }: ScoreRun): Promise<Scores> {
  const { prompt_ids } = manifest, n = prompt_ids.length, asked = stored.data(vector.score_key);
  const { last } = await forward(engine, cache, prompt_ids);
  const context = probeContext(engine, cache, last, prompt_ids);
  const raw = await unpooled().score(await place().look(context), context);
  const sinks = sinksOf(vector);
  const wrong = raw.map((row, head) => {
    let lowestKept = Infinity, highestDropped = -Infinity;
    row.forEach((value, slot) => {
      if (asked[head * n + slot] === 0) highestDropped = Math.max(highestDropped, value);
      else if (slot >= sinks) lowestKept = Math.min(lowestKept, value);
    });
    return highestDropped < lowestKept ? 0 : 1;
  });
  checks.push(equal("heads whose scores are in another order", wrong, wrong.map(() => 0)));
  return raw;
}

/** SnapKV: the window's mean attention to everything before it, pooled; the window itself is set above all others of its layer. */
async function windowScores({ engine, cache, manifest, vector, stored, checks }: ScoreRun): Promise<Scores> {
  const { prompt_ids } = manifest, n = prompt_ids.length, asked = stored.data(vector.score_key);
  const rows = vector.params["window"] as number;
  const raw = await windowScoresOf(engine, cache, prompt_ids, n, vector);
  // once as the vector has them and once without the window's raised scores, beside which all others are small
  const before = (row: ArrayLike<number>, heads: number): number[] =>
    Array.from({ length: heads * (n - rows) }, (_, i) => row[Math.floor(i / (n - rows)) * n + i % (n - rows)]!);
  const compare = (what: string, scores: Scores) => {
    const measured = joined(scores);
    checks.push(
      closeRelative(what, measured, asked, SCORES),
      closeRelative(`${what}, before the window`, before(measured, raw.length), before(asked, raw.length), SCORES),
    );
  };
  compare("scores", raw);
  // the same in two chunks: once the window alone (decomposed attention where it is small), once the longer half (fused)
  for (const size of [n - rows, Math.floor(n / 2)]) {
    if (n - size < rows || size < 1) continue;
    const again = await windowScoresOf(engine, cacheFor(engine, n), prompt_ids, size, vector);
    compare(`scores, prefilled in chunks of ${size}`, again);
  }
  return raw;
}

async function windowScoresOf(
  engine: Engine,
  cache: KvCache,
  ids: number[],
  size: number,
  { params }: PolicyFile,
): Promise<Scores> {
  const n = ids.length, probe = window(params["window"] as number), aggregate = mean(params["kernel"] as number);
  // two chunks: the second may be the longer one
  if (size < n) await forward(engine, cache, ids.slice(0, size));
  const rest = size < n ? ids.slice(size) : ids;
  const { last } = await forward(engine, cache, rest, { scoreRows: probe.windowRows });
  const context = probeContext(engine, cache, last, ids);
  const { mean: mass } = await probe.look(context);
  const before = { mean: mass!.map((row) => row.subarray(0, n - probe.windowRows)) };
  const pooled = await aggregate.score(before, context);
  const { kvHeads } = engine.config;
  return pooled.map((row, head) => {
    const layer = Math.floor(head / kvHeads);
    let top = -Infinity;
    for (const other of pooled.slice(layer * kvHeads, (layer + 1) * kvHeads)) {
      for (const value of other) top = Math.max(top, value);
    }
    const whole = new Float32Array(n).fill(top + 1);
    whole.set(row);
    return whole;
  });
}

/** After the whole prompt, with nothing protected. */
function probeContext(engine: Engine, cache: KvCache, chunk: PassResult, tokens: number[]): ProbeContext {
  return {
    engine,
    cache,
    chunk,
    tokens,
    budget: tokens.length,
    mostSlots: Infinity,
    tokensRead: tokens.length,
    protectedSlots: Array.from(cache.live, (live) => new Uint8Array(live)),
    questionTokens: [],
    answerTokens: [],
    nextPosition: tokens.length,
    positionsLeft: Infinity,
    tokenizer: fakeTokenizer,
    rows: ["mean"],
  };
}
