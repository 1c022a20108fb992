/**
 * Centroid slots: a few slots of every head stand for everything that was evicted. Each is the mean of keys and values that were near each other, and
 * its attention logits rise by what that mean hides, so that one softmax weighs it as it would have weighed them (the memory of IndexMem++, CMP;
 * training-free).
 *
 * A centroid of tokens with shares p_i has the bias Σ p_i (bias_i − log p_i): the log of their count where all weigh the same, as in CMP, and exactly
 * the log of their summed exponentials for the query whose attention the shares are.
 *
 * Every compaction chooses the centroids anew among what it evicts and the old ones, which count as many tokens as they stand for: they cover the
 * document evenly however long it grows. What is not chosen joins the nearest. Rounds of k-means before that were worth nothing (KL to the full cache
 * at 50, 25, 12.5 % of 1,024 tokens, 8 stretches: none .016 .046 .117, one .016 .051 .113, three .016 .050 .122; dropping .017 .063 .135).
 *
 * Differs: tokens weigh by the probe's attention instead of all the same (`weigh`: measured better); an eighth of the budget, up to 64 slots, instead of
 * 64 always. Keys are averaged as they stand, rotated to many positions: turning them to one position first measured the same and cost more.
 */
import { type KvCache, MEMORY_SOURCE } from "../cache.ts";
import { NearestGraph } from "../dense/nearest.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import type { Compensate } from "../policy.ts";
import { evictedSlots, massOf } from "./heads.ts";

export interface CentroidOptions {
  /** Most centroids per head. */
  slots?: number;
  /** Largest share of the budget that they may take. */
  share?: number;
  /** How much a token weighs in a centroid: its attention mass, or one (a slot with a `count` that much). */
  weigh?: "mass" | "count";
  /** Which slots become centroids: evenly spread over the tokens that they stand for, or the first. */
  seeds?: "spread" | "first";
  /** Evicted slots that are compared at once, before centroids move. */
  block?: number;
}

export const centroids = (options: CentroidOptions = {}): Compensate => {
  const { slots = 64, share = 1 / 8, weigh = "mass", seeds = "spread", block = Infinity } = options;
  const memorySlots = (budget: number) => Math.min(slots, Math.floor(budget * share));
  return {
    name: "centroids",
    needs: { logBias: true },
    attributes: ["count", "logBias"],
    memorySlots,
    async apply(context) {
      const { cache, engine, budget } = context, keep = context.keep.slice();
      const nearest = await NearestGraph.open(engine, cache.shape.headDim);
      const olds = keep.map((kept, head) => {
        const source = cache.sources(head);
        return kept.filter((slot) => source[slot] === MEMORY_SOURCE);
      });
      const isFirst = olds.every((old) => old.length === 0);
      await oneAhead(cache.heads, (head) => {
        const evicted = evictedSlots(cache.live[head]!, keep[head]!), old = olds[head]!;
        const count = isFirst ? memorySlots(budget) : old.length;
        if (count === 0 || evicted.length === 0) return null;
        // old centroids are tokens among others, and as many as they stand for
        const all = old.length === 0 ? evicted : Int32Array.from([...old, ...evicted]).sort();
        const memory = seeds === "first" ? all.slice(0, count) : spread(all, cache.attribute("count", head), count);
        const joining = without(all, memory);
        plant(cache, head, memory);
        keep[head] = Int32Array.from([...without(keep[head]!, old), ...memory]).sort();
        if (joining.length === 0) return null;
        const mass = weigh === "mass" ? massOf(context, head) : null;
        return new Clusters(cache, head, memory, joining, mass).join(nearest, block);
      });
      return keep;
    },
  };
};

/** Up to `count` of the slots, ascending, with about as many tokens between any two. */
export function spread(slots: Int32Array, tokens: Float32Array, count: number): Int32Array {
  if (slots.length <= count) return slots;
  let left = 0;
  for (const slot of slots) left += tokensOf(tokens[slot]!);
  let due = left / count / 2, at = 0;
  return slots.filter((slot, i) => {
    const own = tokensOf(tokens[slot]!), needed = slots.length - i === count - at;
    left -= own;
    due -= own;
    if (due > 0 && !needed) return false;
    due = left / (count - ++at + 0.5); // half a stretch is left behind the last
    return true;
  });
}

/** Ascending slots that are not among `others`, ascending too. */
function without(slots: Int32Array, others: Int32Array): Int32Array {
  let at = 0;
  return slots.filter((slot) => {
    while (at < others.length && others[at]! < slot) at++;
    return others[at] !== slot;
  });
}

/** Makes centroids of slots. */
function plant(cache: KvCache, head: number, memory: Int32Array): void {
  const source = cache.sources(head), count = cache.attribute("count", head);
  for (const slot of memory) {
    source[slot] = MEMORY_SOURCE;
    count[slot] = tokensOf(count[slot]!);
  }
}

/** One head's centroids and what joins them at one compaction; keys and values of both stand in the cache. */
class Clusters {
  private readonly headDim: number;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  private readonly count: Float32Array;
  private readonly bias: Float32Array;
  /** Of every centroid, so far. */
  private readonly weight: Float64Array;

  constructor(
    private readonly cache: KvCache,
    private readonly head: number,
    private readonly memory: Int32Array,
    private readonly joining: Int32Array,
    private readonly mass: Float32Array | null,
  ) {
    this.headDim = cache.shape.headDim;
    this.keys = cache.keyRows(head);
    this.values = cache.valueRows(head);
    this.count = cache.attribute("count", head);
    this.bias = cache.attribute("logBias", head);
    this.weight = new Float64Array(memory.length);
    for (let i = 0; i < memory.length; i++) this.weight[i] = this.weightOf(memory[i]!);
  }

  /** @param block as many join between two looks for the nearest */
  async join(nearest: NearestGraph, block: number): Promise<void> {
    for (let from = 0; from < this.joining.length; from += block) {
      const slots = this.joining.subarray(from, from + block);
      const index = await nearest.find(this.keys, slots, this.memory);
      for (let i = 0; i < slots.length; i++) this.absorb(index[i]!, slots[i]!);
    }
    this.cache.rewrite(this.head, this);
  }

  /** A slot becomes part of a centroid: n += w, mean += w (x − mean) / n. */
  private absorb(centre: number, slot: number): void {
    const { keys, values, headDim } = this, into = this.memory[centre]!;
    const own = this.weightOf(slot), share = own / (this.weight[centre]! += own);
    this.count[into]! += tokensOf(this.count[slot]!);
    this.bias[into] = (1 - share) * this.bias[into]! + share * this.bias[slot]! + entropy(share);
    blend(keys, into * headDim, slot * headDim, headDim, share);
    blend(values, into * headDim, slot * headDim, headDim, share);
  }

  private weightOf(slot: number): number {
    return this.mass ? this.mass[slot]! + LEAST_MASS : tokensOf(this.count[slot]!);
  }
}

/** Moves a row towards another: x += share (y − x). */
function blend(rows: Float32Array, to: number, from: number, width: number, share: number): void {
  for (const end = to + width; to < end; to++, from++) rows[to]! += share * (rows[from]! - rows[to]!);
}

/** Beside attention masses nothing, against 0 / 0. */
const LEAST_MASS = 1e-12;

/** A slot without a count is one token. */
const tokensOf = (count: number): number => count === 0 ? 1 : count;

/** Of a share and its rest, in nats. */
function entropy(share: number): number {
  const rest = 1 - share;
  return -(share > 0 ? share * Math.log(share) : 0) - (rest > 0 ? rest * Math.log(rest) : 0);
}
