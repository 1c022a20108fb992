/**
 * Raw scores of the policy vectors: what probe and aggregate give after the whole prompt, held against `scores.safetensors`. A wrapper (adakv,
 * criticalkv, …) names the score that it wraps by its `score_key`, and gets it from here like the policy itself.
 */
import { layerMean } from "../../core/aggregate/layer_mean.ts";
import { mean } from "../../core/aggregate/mean.ts";
import { none as unpooled } from "../../core/aggregate/none.ts";
import type { Aggregate, Scores } from "../../core/policy.ts";
import { expected } from "../../core/probe/expected.ts";
import { h2o } from "../../core/probe/h2o.ts";
import { keydiff } from "../../core/probe/keydiff.ts";
import { knorm } from "../../core/probe/knorm.ts";
import { lagkv } from "../../core/probe/lagkv.ts";
import { none as place } from "../../core/probe/none.ts";
import { tova } from "../../core/probe/tova.ts";
import { window } from "../../core/probe/window.ts";
import type { PromptOptions, Scoring, TestedPrompt } from "./device.ts";
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
  features: PromptOptions["features"];
  /** Gives the score of each slot after the prompt, after comparing it with the vector's. */
  score(run: ScoreRun): Promise<Scores>;
}

export interface ScoreRun {
  prompt: TestedPrompt;
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
  knorm: { takes: [], features: {}, score: (run) => probeScores(run, { probe: knorm() }) },
  keydiff: { takes: [], features: {}, score: (run) => probeScores(run, { probe: keydiff() }) },
  lagkv: {
    takes: ["n_sink", "lag"],
    features: {},
    score: (run) => {
      const { params } = run.vector;
      // kvpress gives 1 to all that no later partition judges; we let newer ones stand higher
      const oneAtMost = (score: number) => Math.min(1, score);
      const lag = params["lag"] as number;
      return probeScores(run, { probe: lagkv(lag, params["n_sink"] as number), lag }, {
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
      return probeScores(run, { probe: tova(), aggregate: layerMean() }, { raise: (slot) => slot === last });
    },
  },
  observed_attention: {
    takes: ["note"], // a remark
    features: { mass: ["mean"] },
    // sums over chunks must be those of the whole
    score: (run) => probeScores(run, { probe: h2o() }, { chunks: [97, 1] }),
  },
  expected_attention: {
    takes: ["n_future", "n_sink", "covariance", "vnorm", "epsilon"],
    fits: ({ covariance, vnorm, epsilon }) => covariance === true && vnorm === true && epsilon === 0,
    features: { queryMoments: true },
    score: (run) => {
      const { n_future, n_sink } = run.vector.params as Record<string, number>;
      return probeScores(run, { probe: expected(n_future, n_sink), future: n_future! }, {
        raise: (slot) => slot < n_sink!,
      });
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
  { prompt, manifest, vector, stored, checks }: ScoreRun,
  stages: Omit<Scoring, "aggregate" | "sinks"> & { aggregate?: Aggregate },
  { raise = () => false, edit = (score) => score, chunks = [] }: {
    raise?: (slot: number) => boolean;
    edit?: (score: number) => number;
    chunks?: number[];
  } = {},
): Promise<Scores> {
  const n = manifest.prompt_ids.length, asked = stored.data(vector.score_key);
  const scoring = { aggregate: unpooled(), sinks: sinksOf(vector), ...stages };
  const read = async (size: number): Promise<Scores> => {
    const scores = await prompt.scores(scoring, [size], n), { kvHeads, layers } = prompt.config;
    for (let layer = 0; layer < layers; layer++) {
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
async function placeScores({ prompt, manifest, vector, stored, checks }: ScoreRun): Promise<Scores> {
  const n = manifest.prompt_ids.length, asked = stored.data(vector.score_key), sinks = sinksOf(vector);
  const raw = await prompt.scores({ probe: place(), aggregate: unpooled(), sinks }, [n], n);
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
async function windowScores({ prompt, manifest, vector, stored, checks }: ScoreRun): Promise<Scores> {
  const n = manifest.prompt_ids.length, asked = stored.data(vector.score_key);
  const { window: rows, kernel } = vector.params as { window: number; kernel: number };
  const scoring = { probe: window(rows), aggregate: mean(kernel), kernel, sinks: sinksOf(vector) };
  const read = async (sizes: number[]) =>
    withWindow(await prompt.scores(scoring, sizes, n - rows), n, prompt.config.kvHeads);
  // once as the vector has them and once without the window's raised scores, beside which all others are small
  const before = (row: ArrayLike<number>, heads: number): number[] =>
    Array.from({ length: heads * (n - rows) }, (_, i) => row[Math.floor(i / (n - rows)) * n + i % (n - rows)]!);
  const compare = (what: string, scores: Scores) => {
    const measured = joined(scores), heads = scores.length;
    checks.push(
      closeRelative(what, measured, asked, SCORES),
      closeRelative(`${what}, before the window`, before(measured, heads), before(asked, heads), SCORES),
    );
  };
  const raw = await read([n]);
  compare("scores", raw);
  // the same in two chunks: once the window alone (decomposed attention where it is small), once the longer half (fused)
  for (const size of [n - rows, Math.floor(n / 2)]) {
    if (n - size < rows || size < 1) continue;
    compare(`scores, prefilled in chunks of ${size}`, await read([size, n - size]));
  }
  return raw;
}

/** Scores of `n` slots, those that were not scored above all others of their layer. */
function withWindow(scores: Scores, n: number, kvHeads: number): Scores {
  return scores.map((row, head) => {
    const layer = Math.floor(head / kvHeads);
    let top = -Infinity;
    for (const other of scores.slice(layer * kvHeads, (layer + 1) * kvHeads)) {
      for (const value of other) top = Math.max(top, value);
    }
    const whole = new Float32Array(n).fill(top + 1);
    whole.set(row);
    return whole;
  });
}
