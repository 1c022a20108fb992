/**
 * A learned score asks in place of attention (IndexMem, arXiv 2605.25475): every row leaves a few numbers with its slot when it is read, its index key, and
 * the index queries of a chunk's last rows are held against those of all live slots (`index_score.ts`).
 *
 * What is evicted feeds a memory whose size does not change, so queries that come later cannot ask again: the chunk's last rows stand for them. Heads of a
 * layer hold much the same tokens, whose index keys are the same: every token is asked once, for all of them.
 *
 * Differs: a pack may have index weights for each KV head, whose scores then differ, and an age term (`training/`: the best score that all heads of a
 * layer share finds little more than SnapKV). The score of the first slots is the best of the others; they stay anyway.
 */
import { type KvCache, MEMORY_SOURCE } from "../cache.ts";
import { IndexScoresGraph } from "../dense/index_scores.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import type { IndexFacts } from "../engine/engine.ts";
import type { Probe } from "../policy.ts";
import { leadingSinks } from "../protected_slots.ts";
import { ageTerm, type IndexRows, scaledWeights, sinksAsBest } from "./index_score.ts";
import { rowNorms } from "./norms.ts";

/** Of the last 128 rows every fourth asks: the mean over 32 of them keeps as good slots as that over all (CHANGELOG 38). */
export const INDEX_ROWS: IndexRows = { last: 128, every: 4 };
/** Added to a score before it is weighed, as kvpress does. */
const LEAST = 1e-6;

export interface IndexerOptions {
  /** Rows of a chunk that ask. */
  rows?: IndexRows;
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
    const { layers, kvHeads } = cache.shape, graph = await IndexScoresGraph.open(engine, cache.width("indexerKey"));
    const score: Float32Array[] = [];
    await oneAhead(layers, (layer) => {
      const facts = index![layer]!, { queries, groups, age: ages } = facts;
      const heads = Array.from({ length: kvHeads }, (_, h) => layer * kvHeads + h);
      const { keys, places } = distinctKeys(cache, heads), count = keys.length / facts.dim;
      return graph.score(queries, perPair(facts), keys).then((found) =>
        heads.forEach((head, h) => {
          const own = new Float32Array(cache.live[head]!), first = cache.start[head]!, age = ages?.[h] ?? 0;
          const from = (groups > 1 ? h : 0) * count, at = places[h]!;
          for (let slot = 0; slot < own.length; slot++) own[slot] = found[from + at[slot]!]!;
          if (age !== 0) {
            for (let slot = 0; slot < own.length; slot++) {
              own[slot]! -= age * ageTerm(nextPosition - 1 - cache.position[first + slot]!);
            }
          }
          if (weighted) {
            const lengths = rowNorms(cache.valueRows(head), cache.shape.headDim);
            for (let slot = 0; slot < own.length; slot++) own[slot] = (own[slot]! + LEAST) * lengths[slot]!;
          }
          score[head] = sinksAsBest(own, leadingSinks(cache.sources(head)));
        })
      );
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

/**
 * Index keys of all tokens that any of a layer's heads holds, each once, and where each head's slots find theirs. Slots that stand for several tokens have
 * keys of their own.
 */
function distinctKeys(cache: KvCache, heads: readonly number[]): { keys: Float32Array; places: Int32Array[] } {
  const dim = cache.width("indexerKey"), all = heads.map((head) => cache.sources(head));
  const keys = heads.map((head) => cache.attribute("indexerKey", head)),
    places = all.map(({ length }) => new Int32Array(length));
  const found = new Float32Array(dim * all.reduce((sum, { length }) => sum + length, 0)),
    at = new Int32Array(all.length);
  // sources of a head ascend, but for slots of several tokens, which stand anywhere: of the heads' next slots the lowest goes first
  const next = Float64Array.from(all, (sources) => sources[0] ?? Infinity);
  const take = (h: number, place: number) => {
    const sources = all[h]!, slot = at[h]!++;
    places[h]![slot] = place;
    next[h] = slot + 1 < sources.length ? sources[slot + 1]! : Infinity;
  };
  for (let count = 0;; count++) {
    let token = Infinity, from = -1;
    for (let h = 0; h < next.length; h++) if (next[h]! < token) token = next[from = h]!;
    if (from < 0) return { keys: found.subarray(0, count * dim), places };
    const own = keys[from]!, end = (at[from]! + 1) * dim;
    for (let i = end - dim, to = count * dim; i < end; i++, to++) found[to] = own[i]!;
    take(from, count);
    if (token === MEMORY_SOURCE) continue;
    for (let h = from + 1; h < next.length; h++) if (next[h] === token) take(h, count);
  }
}
