/** Kernels that make a score together: their references in a row against the CPU's own variant. Needs no GPU: `devices_test.ts` holds each kernel to its reference. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { rkv } from "../../core/decode/rkv.ts";
import { keydiff as keydiffProbe } from "../../core/probe/keydiff.ts";
import { expected } from "../../core/probe/expected.ts";
import { expectedMass as expectedMassProbe } from "../../core/probe/expected_mass.ts";
import { lagkv as lagkvProbe } from "../../core/probe/lagkv.ts";
import type { ProbeContext } from "../../core/policy.ts";
import { Rope } from "../../core/rope.ts";
import { numbers } from "../../kernels/cases/cases.ts";
import { expectation, meanTurn } from "../../kernels/probe/expectation.ts";
import { expectedLeading } from "../../kernels/probe/expected_leading.ts";
import { expectedLogits } from "../../kernels/probe/expected_logits.ts";
import { expectedScore } from "../../kernels/probe/expected_score.ts";
import { expectedSoftmax } from "../../kernels/probe/expected_softmax.ts";
import { keydiff } from "../../kernels/probe/keydiff.ts";
import { completePartitions, lagRank } from "../../kernels/probe/lag_rank.ts";
import { lagkv } from "../../kernels/probe/lagkv.ts";
import { rkvRedundancy } from "../../kernels/decode/rkv_redundancy.ts";
import { rkvScore } from "../../kernels/decode/rkv_score.ts";
import { look } from "../probe/context.ts";
import { openTiny, tokens } from "../tiny_llama.ts";

const { engine, close } = await openTiny({ features: { queryMoments: true } });

const heads = 3, headDim = 8, stride = 300;
const width = { WIDTH: headDim, HEAD_DIM: headDim };
const start = Uint32Array.of(0, 17, 100), end = Uint32Array.of(300, 250, 280);
const keys = numbers(heads * stride * headDim, 1), values = numbers(heads * stride * headDim, 2);
const source = Int32Array.from({ length: heads * stride }, (_, i) => i % stride - start[Math.floor(i / stride)]!);
const of = { heads, firstHead: 0, stride, ...width };

/** The same slots as the CPU has them. */
function cpuCache(): KvCache {
  const cache = new KvCache({ layers: 1, kvHeads: heads, headDim }, stride, ["score", "momentum"]);
  for (let head = 0; head < heads; head++) {
    const from = head * stride + start[head]!, to = head * stride + end[head]!;
    cache.live[head] = to - from;
    cache.keyRows(head).set(keys.subarray(from * headDim, to * headDim));
    cache.valueRows(head).set(values.subarray(from * headDim, to * headDim));
    cache.sources(head).set(source.subarray(from, to));
  }
  return cache;
}

/** Scores [heads, stride] against scores per head [live]. */
function assertScores(scores: Float32Array, wanted: Float32Array[], tolerance: number): void {
  wanted.forEach((row, head) => {
    assert.equal(row.length, end[head]! - start[head]!);
    row.forEach((score, i) => {
      const met = scores[head * stride + start[head]! + i]!;
      assert.ok(met === score || Math.abs(met - score) <= tolerance, `head ${head}, slot ${i}: ${met}, not ${score}`);
    });
  });
}

describe("kernels that score together", () => {
  after(close);

  test("keydiff is the probe's", async () => {
    const scores = new Float32Array(heads * stride);
    keydiff.cpu({ keys, parts: new Float32Array(0), start, end, scores }, of);
    const { score } = await keydiffProbe().look({ cache: cpuCache() } as ProbeContext);
    assertScores(scores, score!, 0);
  });

  test("lag_rank and lagkv are the probe's, in two steps as in one", async () => {
    const LAG = 32, sinks = 4, scored = new Float32Array(heads * stride), scores = new Float32Array(heads * stride);
    const complete = completePartitions(300, sinks, LAG);
    for (const [firstPartition, partitions] of [[0, 3], [3, complete - 3]] as const) {
      const values_ = { ...of, sinks, firstPartition, partitions, LAG };
      lagRank.cpu({ keys, values, source, start, end, scored }, values_);
    }
    lagkv.cpu({ scored, start, end, scores }, { heads, stride });
    const { score } = await lagkvProbe(LAG, sinks).look({ cache: cpuCache(), tokensRead: 300 } as ProbeContext);
    assertScores(scores, score!, 1e-6);
  });

  test("rkv_redundancy and rkv_score are the decode policy's", () => {
    const written = 150, lambda = 0.07, momentum = numbers(heads * stride, 4).map(Math.abs);
    const cache = cpuCache(), scores = new Float32Array(heads * stride).fill(9);
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!;
      cache.attribute("momentum", head).set(momentum.subarray(from, head * stride + end[head]!));
    }
    const found = {
      likeness: new Float32Array(heads * written),
      duplicate: new Uint32Array(heads * written),
      cosine: new Float32Array(heads * written),
    };
    rkvRedundancy.cpu({ keys, parts: new Float32Array(0), end, ...found }, { ...of, written, blocks: 0 });
    rkvScore.cpu({ ...found, end, momentum, scores }, { heads, stride, written, lambda });
    const wanted = rkv(lambda).score!({ cache, written, budget: 64 });
    wanted.forEach((row, head) => {
      const from = head * stride + end[head]! - written;
      row.forEach((score, i) => {
        const met = scores[from + i]!;
        assert.ok(met === score || Math.abs(met - score) < 1e-6, `head ${head}, slot ${i}: ${met}, not ${score}`);
      });
      assert.deepEqual(momentum.subarray(from, from + written), new Float32Array(written), "a new window begins");
      assert.equal(scores[from - 1], 9, "what was read has no score");
    });
  });

  test("expectation and the expected kernels are the probes', on a document read in two chunks", async () => {
    const ids = tokens(60, 9), sinks = 4, { config } = engine, { kvHeads, layers } = config;
    const group = config.heads / kvHeads, d = config.headDim;
    const { cache, context, evidence } = await look(engine, expected(512, sinks), { ids, size: 35 });
    const stride = cache.capacity, all = cache.heads, scores = new Float32Array(all * stride);
    const live = { start: new Uint32Array(all), end: Uint32Array.from(cache.live) };
    const turn = meanTurn(new Rope(config), ids.length, 512);
    const rowsOf = (pool: Float32Array, layer: number) =>
      pool.slice(layer * kvHeads * stride * d, (layer + 1) * kvHeads * stride * d);
    const source = cache.source.slice() as Int32Array<ArrayBuffer>;
    const of = (layer: number) => ({
      heads: kvHeads,
      firstHead: layer * kvHeads,
      stride,
      sinks,
      GROUP: group,
      WIDTH: d,
      HEAD_DIM: d,
    });
    const record = (WEIGHTED: number) => {
      for (let layer = 0; layer < layers; layer++) {
        const { rows, sum, outer } = context.chunk.queryMoments![layer]!;
        const mean = new Float32Array(config.heads * d), form = new Float32Array(config.heads * d * d);
        const moments = { sum: Float32Array.from(sum), outer: Float32Array.from(outer) };
        expectation.cpu({ ...moments, turn, mean, form }, { heads: config.heads, rows, HEAD_DIM: d });
        const logits = new Float32Array(config.heads * stride), softmax = new Float32Array(2 * config.heads);
        expectedLogits.cpu({ keys: rowsOf(cache.keys, layer), mean, form, source, ...live, logits }, of(layer));
        expectedSoftmax.cpu({ logits, ...live, softmax }, of(layer));
        expectedScore.cpu({ values: rowsOf(cache.values, layer), logits, softmax, ...live, scores }, {
          ...of(layer),
          WEIGHTED,
        });
      }
      expectedLeading.cpu({ source, ...live, scores }, { heads: all, stride, sinks });
    };
    const check = (wanted: Float32Array[]) =>
      wanted.forEach((row, head) =>
        row.forEach((score, slot) => {
          const met = scores[head * stride + slot]!;
          assert.ok(Math.abs(met - score) <= 1e-5 * score, `head ${head}, slot ${slot}: ${met}, not ${score}`);
        })
      );
    record(1);
    check(evidence.score!);
    record(0);
    check((await expectedMassProbe().look(context)).score!);
  });
});
