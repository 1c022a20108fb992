/**
 * What varies against the text that follows stays (LagKV, arXiv 2504.04704). The document is cut into partitions of `lag` tokens. A row is scaled,
 * channel by channel, by the smallest and largest value of the next partition; the standard deviation over its channels says how much it stands
 * out. Softmax over the partition, mean of keys' and values', and at last the rank within the partition, so that all partitions compete alike.
 *
 * Streaming: a partition is scored at the first compaction after its successor was read whole, when both are still there; its score is kept with the
 * slots and never changes. Nothing is scored while nothing is evicted, because keys and values wait in the cache.
 * Differs: kvpress gives all tokens that are not scored yet the same highest score. Here the newer ones stand higher, so that a budget below two
 * partitions slides over the document instead of holding on to the oldest.
 */
import { type Probe, SINKS } from "../policy.ts";

/**
 * @param lag tokens of a partition. Budgets should be well above two of them.
 * @param sinks tokens in front of the first partition
 */
export const lagkv = (lag = 128, sinks = SINKS): Probe => ({
  name: "lagkv",
  windowRows: 0,
  // 0: not scored yet; else 1 + rank / lag
  attributes: ["score"],
  look({ cache, tokensRead }) {
    const { headDim } = cache.shape, ranking = new Ranking(headDim, lag);
    return Promise.resolve({
      score: Array.from(cache.live, (live, head) => {
        const scored = cache.attribute("score", head), source = cache.sources(head);
        const keys = cache.keyRows(head), values = cache.valueRows(head);
        const firstToken = (slot: number) => sinks + Math.floor((source[slot]! - sinks) / lag) * lag;
        for (let slot = 0; slot < live;) {
          const token = firstToken(slot);
          if (source[slot]! < sinks || scored[slot]! > 0) slot++;
          else if (token + 2 * lag > tokensRead) break;
          else {
            const next = firstFrom(source, slot, token + lag), end = firstFrom(source, next, token + 2 * lag);
            ranking.rank(keys, values, slot, next, end, scored);
            slot = next;
          }
        }
        return Float32Array.from(scored, (value, slot) => value > 0 ? value - 1 : 1 + (slot + 1) / live);
      }),
    });
  },
});

/** First slot from `slot` on whose token is `token` or a later one. */
function firstFrom(source: Int32Array, slot: number, token: number): number {
  while (slot < source.length && source[slot]! < token) slot++;
  return slot;
}

/** Ranks partition after partition, in memory that it has once. */
class Ranking {
  private readonly low: Float32Array;
  private readonly scale: Float32Array;
  private readonly keyScore: Float64Array;
  private readonly valueScore: Float64Array;

  constructor(private readonly headDim: number, private readonly lag: number) {
    this.low = new Float32Array(headDim);
    this.scale = new Float32Array(headDim);
    this.keyScore = new Float64Array(lag);
    this.valueScore = new Float64Array(lag);
  }

  /** Writes 1 + rank / lag of slots `from` to `next` into `scored`; slots `next` to `end` are the partition behind them. */
  rank(keys: Float32Array, values: Float32Array, from: number, next: number, end: number, scored: Float32Array): void {
    const { keyScore, valueScore } = this, count = Math.min(this.lag, next - from);
    this.deviations(keys, from, count, next, end, keyScore);
    this.deviations(values, from, count, next, end, valueScore);
    for (let i = 0; i < count; i++) keyScore[i]! += valueScore[i]!;
    const sorted = valueScore.subarray(0, count);
    sorted.set(keyScore.subarray(0, count));
    sorted.sort();
    for (let i = 0; i < count; i++) scored[from + i] = 1 + rankOf(keyScore[i]!, sorted) / this.lag;
  }

  /** Softmax over the partition of the standard deviation over a row's scaled channels. */
  private deviations(
    rows: Float32Array,
    from: number,
    count: number,
    next: number,
    end: number,
    out: Float64Array,
  ): void {
    const { headDim, low, scale } = this;
    this.range(rows, next, end);
    let sum = 0, most = 0;
    for (let i = 0; i < count; i++) {
      let total = 0, squares = 0;
      for (let d = 0, at = (from + i) * headDim; d < headDim; d++, at++) {
        const value = (rows[at]! - low[d]!) * scale[d]!;
        total += value;
        squares += value * value;
      }
      const variance = (squares - total * total / headDim) / (headDim - 1);
      out[i] = Math.sqrt(Math.max(0, variance));
      most = Math.max(most, out[i]!);
    }
    for (let i = 0; i < count; i++) sum += out[i] = Math.exp(out[i]! - most);
    for (let i = 0; i < count; i++) out[i]! /= sum;
  }

  /** Smallest value and 1 / range of each channel over slots `next` to `end`; a channel that does not vary says nothing. */
  private range(rows: Float32Array, next: number, end: number): void {
    const { headDim, low, scale } = this;
    for (let d = 0; d < headDim; d++) {
      // down the channel: smallest and largest stay in registers
      let least = Infinity, most = -Infinity;
      for (let at = next * headDim + d, stop = end * headDim; at < stop; at += headDim) {
        const value = rows[at]!;
        least = value < least ? value : least;
        most = value > most ? value : most;
      }
      const range = most - least;
      scale[d] = range > 0 ? 1 / range : 0;
      low[d] = range >= 0 ? least : 0; // else nothing of the next partition is left
    }
  }
}

/** How many of the ascending values are smaller. */
function rankOf(value: number, sorted: Float64Array): number {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
