/**
 * What a launch of every kernel costs, as the kernels' own files say: bytes that must come from or go to the GPU's memory (what several workgroups read,
 * its caches are taken to hold), operations, and how often a workgroup that walks all slots of a head walks them.
 */
import { NUMBER_BYTES } from "../../core/gpu_cache.ts";
import type { KvType } from "../../core/stored_rows.ts";
import { NEARNESS } from "../../kernels/compensate/top_similar.ts";
import type { Launch } from "../../kernels/reading/dry_gpu.ts";

/** Per head, on the mean. */
export interface Slots {
  /** Before a compaction. */
  live: number;
  /** After it. */
  kept: number;
  /** Written since the answer began. */
  written: number;
}

export interface Traffic {
  bytes: number;
  /** Multiplications and additions. */
  operations: number;
  /** Times that a workgroup waits for memory, one after the other. */
  rounds: number;
}

type Values = Record<string, number>;
interface Case extends Slots {
  /** Heads of the launch. */
  n: number;
  /** Slots that go. */
  gone: number;
  /** Numbers of a head's key, and bytes of one in the cache. */
  D: number;
  stored: number;
}
/** [bytes, operations, walks over all slots] */
type Formula = (at: Case, values: Values) => [number, number?, number?];

/** A number of the launch. @throws where it has none of that name: the kernel has changed, and its formula has not */
function v(values: Values, name: string): number {
  const value = values[name];
  if (value === undefined) throw new Error(`A launch has no ${name}: its kernel's formula is out of date`);
  return value;
}
/** Centroids of every head, at most (`core/compensate/centroids.ts`). */
const CENTROIDS = 64;

/** Both passes over a layer's keys. */
const asking = ({ live, n, stored }: Case, of: Values): [number, number] => {
  const slots = live + v(of, "behind"), asked = v(of, "rows") * v(of, "GROUP");
  const operations = 2 * n * slots * v(of, "WIDTH") * asked;
  return [n * (stored * slots * v(of, "WIDTH") + 4 * asked * (v(of, "WIDTH") + 2 * v(of, "splits") + 4)), operations];
};
/** Rows move through a stripe of columns 128 at a time, read then written. */
const moved = (
  at: Case,
  words: number,
): [number, number, number] => [8 * at.n * at.kept * words, 0, 4 * at.kept / at.live];
const received = ({ n, gone, kept, D, stored }: Case, m: number): [number, number] => [
  n * (Math.min(kept, gone * m) * 2 * stored * D + gone * m * (stored * D + 8) + 4 * kept),
  2 * n * gone * m * D,
];
const perLive = (bytes: number, walks = 0): Formula => ({ n, live }) => [bytes * n * live, 0, walks];
const perGone = (bytes: number): Formula => ({ n, gone }) => [bytes * n * gone];
const perWritten = (bytes: number): Formula => ({ n, written }) => [bytes * n * written];

export const formulas: Record<string, Formula> = {
  label_rows: ({ n }, of) => [8 * n * v(of, "count")],
  fill_rows: ({ n }, of) => [4 * n * v(of, "count")],
  advance: ({ n }) => [8 * n],
  value_norms: ({ n, D, stored }, of) => [
    n * v(of, "rows") * (stored * D + 4 * Math.ceil(v(of, "hidden") / 512)) +
    4 * v(of, "hidden") * n * v(of, "GROUP") * D,
    2 * v(of, "rows") * v(of, "hidden") * n * v(of, "GROUP") * D,
  ],
  value_norms_sum: ({ n }, of) => [4 * (v(of, "stripes") + 1) * v(of, "rows") * n],
  query_moments: ({ n, D }, of) => [
    4 * n * D * (v(of, "behind") - v(of, "first") + D + 1),
    2 * (v(of, "behind") - v(of, "first")) * n * D * D,
  ],
  index_keys: ({ n }, of) => [
    4 * (v(of, "hidden") * (v(of, "rows") + v(of, "DIM")) + n * v(of, "rows") * v(of, "DIM")),
    2 * v(of, "rows") * v(of, "hidden") * v(of, "DIM"),
  ],

  index_queries: (_, of) => {
    const asking = v(of, "asking"), each = v(of, "n"), width = v(of, "heads") * v(of, "HEAD_DIM"), dim = v(of, "DIM");
    return [
      4 * (asking * (width + v(of, "hidden") + each * (dim + 1)) + each * (dim * width + v(of, "hidden"))),
      2 * asking * each * (dim * width + v(of, "hidden")),
    ];
  },
  index_scores: ({ n, live }, of) => [
    4 * (v(of, "DIM") + 1) * (n * live + v(of, "pairs")),
    2 * v(of, "pairs") * v(of, "DIM") * n * live,
  ],
  softmax_rows: asking,
  attention_mass: (at, of) => {
    const [bytes, operations] = asking(at, of), given = v(of, "MEAN") + v(of, "MOST") + v(of, "DEFENSIVE");
    return [bytes + 4 * at.n * at.live * given, operations];
  },
  merge_mass: perLive(12),
  h2o_scores: perLive(24),
  none: perLive(4),
  random: perLive(8),
  knorm: ({ n, live, D, stored }) => [(stored * D + 4) * n * live, 2 * D * n * live],
  unit_sum: ({ n, live, D, stored }) => [D * n * live * (stored + 4 / 128), 4 * D * n * live],
  keydiff: ({ n, live, D, stored }) => [(stored * D + 4) * n * live, 4 * D * n * live],
  expectation: ({ n, D }) => [8 * n * D * (D + 1)],
  expected_logits: ({ n, live, D, stored }, of) => [
    n * (live * (stored * D + 4 * v(of, "GROUP")) + 4 * D * D * v(of, "GROUP")),
    2 * n * v(of, "GROUP") * live * D * D,
  ],
  expected_softmax: ({ n, live }, of) => [8 * n * v(of, "GROUP") * live, 0, 2],
  expected_score: ({ n, live, D, stored }, of) => [(stored * D + 4 * v(of, "GROUP") + 4) * n * live],
  expected_leading: perLive(4, 1),
  lag_rank: ({ n, live, D, stored }, of) => [
    n * v(of, "partitions") * (4 * live + 4 * stored * v(of, "LAG") * D),
    n * v(of, "partitions") * 2 * v(of, "LAG") * (v(of, "LAG") + 8 * D),
    1,
  ],
  lagkv: perLive(8),

  pool_scores: perLive(8),
  layer_mean: perLive(12),
  norm_shares: ({ n }, of) => [8 * n * v(of, "count")],
  defensive_facts: perLive(16, 2),
  defensive_scores: perLive(16, 36),
  quota_counts: ({ n, live }) => [n * (8 * live + 1028), 0, 1],
  quota_choose: ({ n }) => [n * 1028, 0, 0.1],

  protect: perLive(8, 2),
  top_k: ({ n, live, kept }) => [n * (8 * live + 4 * kept), 0, 6],
  mark: ({ n, live, kept }) => [n * (8 * live + 8 * kept), 0, 1],
  critical_scores: perLive(16, 2),
  spread_parts: perLive(8, 2),
  chunk_means: perLive(24),
  best_stretch: ({ n, kept }) => [16 * n * kept, 0, 1],

  row_norms: ({ n, live, D, stored }) => [n * live * (stored * D + 4), 2 * n * live * D],
  split_slots: perLive(20, 2),
  token_mass: ({ n, live, stored }) => [(4 + stored) * n * live],
  top_similar: ({ n, gone, kept, D, stored }, of) => {
    const columns = v(of, "LIKENESS") === NEARNESS ? CENTROIDS : kept;
    return [n * ((gone + columns) * stored * D + gone * 8 * v(of, "M")), 2 * n * gone * columns * D];
  },
  receive_chains: ({ n, gone, kept }, of) => [
    n * (gone * 4 * v(of, "M") + 8 * kept),
    n * gone * kept * v(of, "M"),
  ],
  flow_shares: (at, of) => perGone(20 * v(of, "M") + 8)(at, of),
  merge_shares: perGone(28),
  d2o_threshold: perGone(12),
  latent_features: ({ n, gone, D, stored }, of) => [
    n * gone * (stored * D + 4 * v(of, "rank")) + 4 * D * v(of, "rank"),
    2 * n * gone * D * v(of, "rank"),
  ],
  latent_write: ({ n, gone, D, stored }, of) => [
    n * (gone * (stored * D + 4 * v(of, "rank")) + 8 * v(of, "rank") * (D + 1)),
    2 * n * gone * v(of, "rank") * (D + 1),
  ],
  longest_rows: perGone(8),
  receive: (at, of) => received(at, v(of, "M")),
  receive_bounded: (at, of) => received(at, v(of, "M")),
  receive_mean: (at) => received(at, 1),
  cam_parts: (at, of) => perGone(16 + 8 * v(of, "m"))(at, of),
  cam_receive: (
    { n, gone, kept, D, stored },
    of,
  ) => [n * (kept * 2 * stored * D + gone * (stored * D + 8)), 2 * n * gone * v(of, "m") * D],
  mass_histogram: ({ n, gone }) => [n * (8 * gone + 3072)],
  choose_digit: () => [2048],
  heaviest_slots: ({ n, gone }) => [20 * n * gone + 2 * n * n],
  centroid_seeds: perLive(54, 3),
  centroid_join: (
    { n, gone, D, stored },
  ) => [n * (gone * (2.125 * stored * D + 16) + CENTROIDS * 4 * stored * D)],

  gather: (at, of) => moved(at, v(of, "MOVED")),
  gather_rotate: (at, of) => moved(at, v(of, "KEY") * 17 / 16 + Number(v(of, "WORDS") > v(of, "KEY"))),
  hide: ({ n, kept, stored }) => [stored * n * kept],
  narrow: ({ n, live, stored }) => [(4 + stored) * n * live, 0, 1],
  quantise_rows: ({ n }, of) => [n * v(of, "count") * (9 * v(of, "D") + 4)],
  widen_rows: ({ n }, of) => [n * v(of, "stride") * (5 * v(of, "D") + 4)],
  copy_columns: ({ n }, of) => [8 * n * v(of, "count") * v(of, "COLUMNS")],
  compact_positions: ({ n, kept }) => [4 * n * kept],
  settle: ({ n }) => [24 * n],
  coverage: perLive(4, 1),

  momentum: perWritten(12),
  written_quota: perLive(4),
  written_recency: perWritten(4),
  written_momentum: perWritten(8),
  rkv_redundancy: ({ n, written, D, stored }) => [n * written * (stored * D + 12), 32 * n * written * D],
  rkv_score: perWritten(32),
  argmax: (_, of) => [4 * v(of, "rows") * (v(of, "vocab") + 1)],
};

/** Slots that the threads of a workgroup look at together. */
const THREADS = 256;

/** @param kvType of the cache. @throws where a kernel has no formula */
export function trafficOf({ name, values, workgroups }: Launch, slots: Slots, kvType: KvType = "f32"): Traffic {
  const formula = formulas[name];
  if (!formula) {
    throw new Error(`bench/gpu/traffic.ts has no formula for the kernel ${name}: add one beside the others`);
  }
  const { lists, runs, heads, kvHeads, HEAD_DIM, D, WORDS, WIDTH } = values;
  const n = lists !== undefined ? lists / (runs ?? 1) : heads ?? kvHeads ?? workgroups;
  const numbers = HEAD_DIM ?? D ?? WIDTH ?? WORDS ?? 0;
  const at = { ...slots, n, gone: slots.live - slots.kept, D: numbers, stored: NUMBER_BYTES[kvType] };
  const [bytes, operations = 0, walks = 0] = formula(at, values);
  return { bytes, operations, rounds: Math.max(1, walks * slots.live / THREADS) };
}
