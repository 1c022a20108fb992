import assert from "node:assert/strict";
import { test } from "node:test";
import { layerMean } from "../../core/aggregate/layer_mean.ts";
import { meanUnpooled } from "../../core/aggregate/mean_unpooled.ts";
import { KvCache, MEMORY_SOURCE } from "../../core/cache.ts";
import type { StageContext } from "../../core/policy.ts";

/** Two layers of two heads that hold these tokens. */
function context(sources: number[][]): StageContext {
  const cache = new KvCache({ layers: 2, kvHeads: 2, headDim: 2 }, 10);
  sources.forEach((tokens, head) => {
    cache.source.set(tokens, cache.start[head]!);
    cache.live[head] = tokens.length;
  });
  return { cache } as StageContext;
}

const rows = (...heads: number[][]) => heads.map((row) => Float32Array.from(row));
const plain = (scores: Float32Array[]) => scores.map((row) => [...row]);

test("layer-mean: every head of a layer scores a token alike, and layers stay apart", async () => {
  const all = [0, 1, 2], mass = rows([1, 2, 3], [3, 0, 1], [8, 8, 8], [0, 4, 2]);
  const scores = await layerMean().score({ mean: mass }, context([all, all, all, all]));
  assert.deepEqual(plain(scores), [[2, 1, 2], [2, 1, 2], [4, 6, 5], [4, 6, 5]]);
  assert.deepEqual(plain(mass), [[1, 2, 3], [3, 0, 1], [8, 8, 8], [0, 4, 2]], "the evidence stays");
});

test("layer-mean: where heads hold different tokens, the mean over the holders; what stands for several tokens keeps its score", async () => {
  const M = MEMORY_SOURCE;
  const sources = [[0, M, 3, 5, 9], [0, 3, 4, 9, 10], [M, M, 7], []];
  const score = rows([1, 50, 2, 3, 4], [5, 6, 7, 8, 9], [1, 2, 3], []);
  const scores = await layerMean().score({ score }, context(sources));
  assert.deepEqual(plain(scores), [[3, 50, 4, 3, 6], [3, 4, 7, 6, 9], [1, 2, 3], []]);
});

test("mean-unpooled: the mean mass as it is", async () => {
  const mean = rows([1, 2, 9]);
  assert.deepEqual(plain(await meanUnpooled().score({ mean }, context([]))), [[1, 2, 9]]);
  assert.deepEqual(meanUnpooled().rows, ["mean"]);
});
