/**
 * Raw scores of the policy vectors: what probe and aggregate give after the whole prompt, held against `scores.safetensors`. A wrapper (adakv,
 * criticalkv, …) names the score that it wraps by its `score_key`, and gets it from here like the policy itself.
 */
import { layerMean } from "../../core/aggregate/layer_mean.ts";
import { mean } from "../../core/aggregate/mean.ts";
import { none as unpooled } from "../../core/aggregate/none.ts";
import { KvCache } from "../../core/cache.ts";
import type { Engine, PassResult } from "../../core/engine/engine.ts";
import type { GraphFeatures } from "../../core/engine/features.ts";
import type { Aggregate, Probe, ProbeContext, Scores } from "../../core/policy.ts";
import { expected } from "../../core/probe/expected.ts";
import { h2o } from "../../core/probe/h2o.ts";
import { keydiff } from "../../core/probe/keydiff.ts";
import { knorm } from "../../core/probe/knorm.ts";
import { lagkv } from "../../core/probe/lagkv.ts";
import { none as place } from "../../core/probe/none.ts";
import { tova } from "../../core/probe/tova.ts";
import { window } from "../../core/probe/window.ts";
import { fakeTokenizer } from "../tiny_llama.ts";
import { cacheFor, forward } from "./forward.ts";
import type { Arrays } from "./open.ts";
import { joined, type Manifest, type PolicyFile, sinksOf } from "./policy_files.ts";
import { type Check, closeRelative, equal } from "./report.ts";

const SCORES = 5e-5;

export interface Scorer {
  /** Parameters of the vector that it takes. */
  takes: readonly string[];
  /** Whether it can do what they say. */
  fits?(params: PolicyFile["params"]): boolean;
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
  knorm: { takes: [], features: {}, score: (run) => probeScores(run, knorm()) },
  keydiff: { takes: [], features: {}, score: (run) => probeScores(run, keydiff()) },
  lagkv: {
    takes: ["n_sink", "lag"],
    features: {},
    score: (run) => {
      const { params } = run.vector;
      // kvpress gives 1 to all that no later partition judges; we let newer ones stand higher
      const oneAtMost = (score: number) => Math.min(1, score);
      return probeScores(run, lagkv(params["lag"] as number, params["n_sink"] as number), {
        edit: oneAtMost,
        chunks: [97, 1],
      });
    },
  },
  tova: {
    takes: [],
    features: { mass: ["mean"] },
    score: (run) => {
      const last = run.manifest.prompt_ids.length - 1;
      return probeScores(run, tova(), { aggregate: layerMean(), raise: (slot) => slot === last });
    },
  },
  observed_attention: {
    takes: ["note"], // a remark
    features: { mass: ["mean"] },
    // sums over chunks must be those of the whole
    score: (run) => probeScores(run, h2o(), { chunks: [97, 1] }),
  },
  expected_attention: {
    takes: ["n_future", "n_sink", "covariance", "vnorm", "epsilon"],
    fits: ({ covariance, vnorm, epsilon }) => covariance === true && vnorm === true && epsilon === 0,
    features: { queryMoments: true },
    score: (run) => {
      const { n_future, n_sink } = run.vector.params as Record<string, number>;
      return probeScores(run, expected(n_future, n_sink), { raise: (slot) => slot < n_sink! });
    },
  },
};

/** The scorer of a vector; undefined where there is none. */
export function scorerOf({ score_key, params }: PolicyFile): Scorer | undefined {
  const word = score_key.replace(/_c[\d.]+$/, "");
  // PyramidKV scores as SnapKV does, with its own window
  const scorer = scorers[word.startsWith("pyramidkv") ? "snapkv" : word];
  return scorer?.fits?.(params) === false ? undefined : scorer;
}

/**
 * What a probe gives after the whole prompt, through an aggregate that pools nothing.
 * @param options.raise slots that kvpress sets above all others of the layer
 * @param options.edit brings our score to kvpress's
 * @param options.chunks sizes of chunks that must give the same in the end, for probes that look at every chunk
 */
async function probeScores(
  { engine, cache, manifest, vector, stored, checks }: ScoreRun,
  probe: Probe,
  { aggregate = unpooled(), raise = () => false, edit = (score) => score, chunks = [] }: {
    aggregate?: Aggregate;
    raise?: (slot: number) => boolean;
    edit?: (score: number) => number;
    chunks?: number[];
  } = {},
): Promise<Scores> {
  const ids = manifest.prompt_ids, n = ids.length, asked = stored.data(vector.score_key);
  await forward(engine, cache, ids);
  const read = async (size: number): Promise<Scores> => {
    // the cache that is handed on knows nothing of what the probe remembers
    const own = new KvCache(engine.config, n, probe.attributes);
    let scores: Scores = [];
    for (let from = 0; from < n; from += size) {
      const tokens = ids.slice(from, from + size);
      const result = await engine.pass(own, {
        tokens,
        firstPosition: from,
        scoreRows: Math.min(probe.windowRows, tokens.length),
        factsFrom: sinksOf(vector),
      });
      own.append(result.keys, result.values, tokens.length, from, from);
      const context = { ...probeContext(engine, own, result, tokens, from + tokens.length), rows: aggregate.rows };
      scores = await aggregate.score(await probe.look(context), context);
    }
    const { kvHeads } = engine.config;
    for (let layer = 0; layer < engine.config.layers; layer++) {
      const heads = scores.slice(layer * kvHeads, (layer + 1) * kvHeads);
      heads.forEach((row) => row.forEach((score, slot) => row[slot] = raise(slot) ? -Infinity : edit(score)));
      const top = Math.max(...heads.map((row) => Math.max(...row)));
      heads.forEach((row) => row.forEach((_, slot) => row[slot] = raise(slot) ? top + 1 : row[slot]!));
    }
    return scores;
  };
  const lowOf = (scores: ArrayLike<number>) => Array.from(scores).filter((_, i) => !raise(i % n));
  const compare = (what: string, scores: Scores) => {
    const measured = joined(scores);
    checks.push(closeRelative(what, measured, asked, SCORES));
    // raised scores are so large that all others are small beside them
    if (measured.some((_, i) => raise(i % n))) {
      checks.push(closeRelative(`${what}, those not raised`, lowOf(measured), lowOf(asked), SCORES));
    }
  };
  const whole = await read(n);
  compare("scores", whole);
  for (const size of chunks) compare(`scores, read in chunks of ${size}`, await read(size));
  return whole;
}

/** kvpress scores 1 and 0, our probe the place: sinks aside, they agree when no 0 stands above a 1. */
async function placeScores({ engine, cache, manifest, vector, stored, checks }: ScoreRun): Promise<Scores> {
  const { prompt_ids } = manifest, n = prompt_ids.length, asked = stored.data(vector.score_key);
  const { last } = await forward(engine, cache, prompt_ids);
  const context = probeContext(engine, cache, last, prompt_ids, prompt_ids.length);
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
  const context = probeContext(engine, cache, last, rest, ids.length);
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

/** After a chunk of the prompt, with nothing protected. */
function probeContext(
  engine: Engine,
  cache: KvCache,
  chunk: PassResult,
  tokens: number[],
  tokensRead: number,
): ProbeContext {
  return {
    engine,
    cache,
    chunk,
    tokens,
    budget: tokensRead,
    mostSlots: Infinity,
    tokensRead,
    protectedSlots: Array.from(cache.live, (live) => new Uint8Array(live)),
    questionTokens: [],
    answerTokens: [],
    nextPosition: tokensRead,
    positionsLeft: Infinity,
    tokenizer: fakeTokenizer,
    rows: ["mean"],
  };
}
