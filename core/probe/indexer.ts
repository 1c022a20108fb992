/**
 * A learned score asks in place of attention (IndexMem, arXiv 2605.25475): every row leaves a few numbers with its slot when it is read, its index key, and
 * the index queries of a chunk's last rows are held against those of all live slots (`index_score.ts`).
 *
 * What is evicted feeds a memory whose size does not change, so queries that come later cannot ask again: the chunk's last rows stand for them.
 *
 * Differs: a pack may have index weights for each KV head, whose scores then differ, and an age term (`training/`: the best score that all heads of a
 * layer share finds little more than SnapKV). The score of the first slots is the best of the others; they stay anyway.
 */
import { MEMORY_SOURCE } from "../cache.ts";
import { IndexScoresGraph } from "../dense/index_scores.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import type { IndexFacts } from "../engine/engine.ts";
import type { Probe } from "../policy.ts";
import { leadingSinks } from "../protected_slots.ts";
import { ageTerm, scaledWeights, sinksAsBest } from "./index_score.ts";
import { rowNorms } from "./norms.ts";

/** Rows that ask. */
export const INDEX_ROWS = 128;
/** Added to a score before it is weighed, as kvpress does. */
const LEAST = 1e-6;

export interface IndexerOptions {
  /** Last rows of a chunk that ask. */
  rows?: number;
  /** Times the length of the slot's value. */
  weighted?: boolean;
}

export const indexer = ({ rows = INDEX_ROWS, weighted = false }: IndexerOptions = {}): Probe => ({
  name: "indexer",
  windowRows: 0,
  indexRows: rows,
  needs: { indexer: true, pack: "indexmem" },
  attributes: ["indexerKey"],
  async look({ engine, cache, nextPosition, chunk: { index } }) {
    const { kvHeads, headDim } = cache.shape, graph = await IndexScoresGraph.open(engine, cache.width("indexerKey"));
    const score: Float32Array[] = [], asked: Promise<Float32Array>[] = [];
    const weightsOf = index!.map((facts) => perPair(facts));
    await oneAhead(cache.heads, (head) => {
      const layer = Math.floor(head / kvHeads), h = head % kvHeads, { queries, groups, age: ages } = index![layer]!;
      const sources = cache.sources(head), all = weightsOf[layer]!;
      // heads that hold the same tokens are asked together
      const isShared = h > 0 && same(sources, cache.sources(head - 1));
      asked[head] = isShared ? asked[head - 1]! : graph.score(queries, all, cache.attribute("indexerKey", head));
      return asked[head].then((found) => {
        const live = cache.live[head]!, group = groups > 1 ? h : 0;
        const own = found.slice(group * live, (group + 1) * live), age = ages?.[h] ?? 0;
        if (age !== 0) {
          const first = cache.start[head]!;
          for (let slot = 0; slot < live; slot++) {
            own[slot]! -= age * ageTerm(nextPosition - 1 - cache.position[first + slot]!);
          }
        }
        if (weighted) {
          const lengths = rowNorms(cache.valueRows(head), headDim);
          for (let slot = 0; slot < own.length; slot++) own[slot] = (own[slot]! + LEAST) * lengths[slot]!;
        }
        score[head] = sinksAsBest(own, leadingSinks(sources));
      });
    });
    return { score };
  },
});

/** What each pair of an index head and a query, in this order, counts in the mean, [groups, pairs]. */
function perPair({ weights, heads, dim, groups }: IndexFacts): Float32Array {
  const scaled = scaledWeights(weights, heads, dim), rows = weights.length / (groups * heads), pairs = rows * heads;
  return scaled.map((_, i) => {
    const group = Math.floor(i / pairs), head = Math.floor(i % pairs / rows), row = i % rows;
    return scaled[(row * groups + group) * heads + head]! / rows;
  });
}

/** Whether two heads hold the same tokens, and so the same index keys; slots that stand for several have keys of their own. */
function same(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((source, slot) => source === b[slot] && source !== MEMORY_SOURCE);
}
