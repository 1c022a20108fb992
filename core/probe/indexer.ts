/**
 * A learned score asks in place of attention (IndexMem, arXiv 2605.25475): every row leaves a few numbers with its slot when it is read, its index key, and
 * the index queries of a chunk's last rows are held against those of all live slots (`index_score.ts`). All KV heads of a layer get the same scores.
 *
 * What is evicted feeds a memory whose size does not change, so queries that come later cannot ask again: the chunk's last rows stand for them.
 *
 * Differs: 64 rows ask where the paper's code takes 128: half the cost. The score of the first slots is the best of the others as there; they stay anyway.
 */
import { MEMORY_SOURCE } from "../cache.ts";
import { IndexScoresGraph } from "../dense/index_scores.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import type { Probe } from "../policy.ts";
import { leadingSinks } from "../protected_slots.ts";
import { scaledWeights, sinksAsBest } from "./index_score.ts";
import { rowNorms } from "./norms.ts";

/** Rows that ask. */
export const INDEX_ROWS = 64;
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
  async look({ engine, cache, chunk: { index } }) {
    const { kvHeads, headDim } = cache.shape, graph = await IndexScoresGraph.open(engine, cache.width("indexerKey"));
    const score: Float32Array[] = [], asked: Promise<Float32Array>[] = [];
    const asking = index!.map(({ queries, weights, heads, dim }) => ({
      queries,
      weights: perPair(scaledWeights(weights, heads, dim), heads),
    }));
    await oneAhead(cache.heads, (head) => {
      const sources = cache.sources(head), { queries, weights } = asking[Math.floor(head / kvHeads)]!;
      const isShared = head % kvHeads > 0 && same(sources, cache.sources(head - 1));
      asked[head] = isShared ? asked[head - 1]! : graph.score(queries, weights, cache.attribute("indexerKey", head));
      return asked[head].then((found) => {
        const own = found.slice();
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

/** What each pair of an index head and a query, in this order, counts in the mean. @param weights [rows, heads] */
function perPair(weights: Float32Array, heads: number): Float32Array {
  const rows = weights.length / heads;
  return weights.map((_, pair) => weights[pair % rows * heads + Math.floor(pair / rows)]! / rows);
}

/** Whether two heads hold the same tokens, and so the same index keys; slots that stand for several have keys of their own. */
function same(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((source, slot) => source === b[slot] && source !== MEMORY_SOURCE);
}
