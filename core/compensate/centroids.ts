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
 * 64 always. Keys are averaged as they stand, rotated to many positions; turning them to one position first (`aligned`) measured the same and costs more.
 */
import { type KvCache, MEMORY_SOURCE } from "../cache.ts";
import { NearestGraph } from "../dense/nearest.ts";
import type { Compensate } from "../policy.ts";
import { Rope } from "../rope.ts";
import { evictedSlots, massOf, oneAhead } from "./heads.ts";

export interface CentroidOptions {
  /** Most centroids per head. */
  slots?: number;
  /** Largest share of the budget that they may take. */
  share?: number;
  /** How much a token weighs in a centroid: its attention mass, or one (a slot with a `count` that much). */
  weigh?: "mass" | "count";
  /** Keys are turned to the centroid's position before they are averaged and compared. */
  aligned?: boolean;
  /** Which slots become centroids: evenly spread over the tokens that they stand for, or the first. */
  seeds?: "spread" | "first";
  /** Evicted slots that are compared at once, before centroids move. */
  block?: number;
}

export const centroids = (options: CentroidOptions = {}): Compensate => {
  const { slots = 64, share = 1 / 8, weigh = "mass", aligned = false, seeds = "spread", block = Infinity } = options;
  const memorySlots = (budget: number) => Math.min(slots, Math.floor(budget * share));
  return {
    name: "centroids",
    needs: { logBias: true },
    attributes: ["count", "logBias"],
    memorySlots,
    async apply(context) {
      const { cache, engine, budget } = context, keep = context.keep.slice();
      const nearest = await NearestGraph.open(engine, cache.shape.headDim);
      const rope = aligned ? new Rope(engine.config) : null;
      const isMemory = (head: number) => (slot: number) => cache.sources(head)[slot] === MEMORY_SOURCE;
      const isFirst = !keep.some((kept, head) => kept.some(isMemory(head)));
      await oneAhead(cache.heads, (head) => {
        const evicted = evictedSlots(cache.live[head]!, keep[head]!), old = keep[head]!.filter(isMemory(head));
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
        return new Clusters(cache, head, memory, joining, mass, rope).join(nearest, block);
      });
      return keep;
    },
  };
};

/** Up to `count` of the slots, ascending, with about as many tokens between any two. */
function spread(slots: Int32Array, tokens: Float32Array, count: number): Int32Array {
  if (slots.length <= count) return slots;
  let left = slots.reduce((sum, slot) => sum + tokensOf(tokens[slot]!), 0), due = left / count / 2, at = 0;
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

/** One head's centroids and what joins them at one compaction. */
class Clusters {
  private readonly headDim: number;
  private readonly values: Float32Array;
  private readonly count: Float32Array;
  private readonly bias: Float32Array;
  /** Keys of what joins and of the centroids, [slots, headDim]. */
  private readonly rows: Float32Array;
  private readonly centres: Float32Array;
  private readonly weight: Float64Array;

  constructor(
    private readonly cache: KvCache,
    private readonly head: number,
    private readonly memory: Int32Array,
    private readonly joining: Int32Array,
    private readonly mass: Float32Array | null,
    private readonly rope: Rope | null,
  ) {
    this.headDim = cache.shape.headDim;
    this.values = cache.valueRows(head);
    this.count = cache.attribute("count", head);
    this.bias = cache.attribute("logBias", head);
    this.rows = this.keysOf(joining);
    this.centres = this.keysOf(memory);
    this.weight = Float64Array.from(memory, (slot) => this.weightOf(slot));
  }

  /** @param block as many join between two looks for the nearest */
  async join(nearest: NearestGraph, block: number): Promise<void> {
    const { rows, joining, headDim, centres } = this;
    for (let from = 0; from < joining.length; from += block) {
      const to = Math.min(joining.length, from + block);
      const index = await nearest.find(rows.subarray(from * headDim, to * headDim), centres);
      for (let i = from; i < to; i++) this.absorb(index[i - from]!, i);
    }
    this.store();
  }

  /** Joining slot `i` becomes part of a centroid: n += w, mean += w (x − mean) / n. */
  private absorb(centre: number, i: number): void {
    const { centres, rows, values, headDim } = this, into = this.memory[centre]!, slot = this.joining[i]!;
    const own = this.weightOf(slot), share = own / (this.weight[centre]! += own);
    this.count[into]! += tokensOf(this.count[slot]!);
    this.bias[into] = (1 - share) * this.bias[into]! + share * this.bias[slot]! + entropy(share);
    for (let d = 0; d < headDim; d++) {
      const key = centre * headDim + d, value = into * headDim + d;
      centres[key]! += share * (rows[i * headDim + d]! - centres[key]!);
      values[value]! += share * (values[slot * headDim + d]! - values[value]!);
    }
  }

  private weightOf(slot: number): number {
    return this.mass ? this.mass[slot]! + LEAST_MASS : tokensOf(this.count[slot]!);
  }

  /** Keys of slots, as if they stood at position 0 where they are aligned. */
  private keysOf(slots: Int32Array): Float32Array {
    const { headDim, cache, head, rope } = this, keys = cache.keyRows(head), first = cache.start[head]!;
    const out = new Float32Array(slots.length * headDim);
    slots.forEach((slot, i) => {
      out.set(keys.subarray(slot * headDim, (slot + 1) * headDim), i * headDim);
      rope?.shift(out, i * headDim, i * headDim, -cache.position[first + slot]!);
    });
    return out;
  }

  /** Puts the centroids' keys back where they stand. */
  private store(): void {
    const { headDim, cache, head, rope, centres } = this, keys = cache.keyRows(head), first = cache.start[head]!;
    this.memory.forEach((slot, i) => {
      keys.set(centres.subarray(i * headDim, (i + 1) * headDim), slot * headDim);
      rope?.shift(keys, slot * headDim, slot * headDim, cache.position[first + slot]!);
    });
  }
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
