/**
 * The key/value memory: one pool for keys and one for values, allocated once when it opens and never again. All layers and KV heads share it; each
 * head owns a contiguous run of it and fills it from the front, so a head's live slots are a view on the pool that the graph reads in place.
 *
 * A *head* here is a pair of layer and KV head, numbered `layer * kvHeads + kvHead`.
 */
import { latentBytes, LatentState } from "./compensate/latent_state.ts";
import { BudgetError } from "./errors.ts";
import { BYTES_PER_ROW, type Pool, StoredRows, type StoredRun, type StoredType } from "./stored_rows.ts";
import { slidingBytes, SlidingRows, type SlidingShape } from "./sliding_rows.ts";

export interface CacheShape {
  /** Those in the budget. */
  layers: number;
  kvHeads: number;
  headDim: number;
  /** Layers that see the newest tokens only, where the model has such. */
  sliding?: SlidingShape;
}

/**
 * What a policy may remember of every slot (float32): `valueNorm` ‖v W_O‖₁ of the row as it was written; `logBias` added to its attention logits;
 * `count` tokens that it stands for; `score` a score given once or summed up over chunks; `seen` queries that could see it; `momentum` decayed
 * attention while writing; `normShare` the head's share of the layer's value norms of that token; `token` its id (ids below 2^24 are exact);
 * `threshold` what a merge must reach, in the first slot of every head; `indexerKey` what a learned indexer scores it by, several numbers.
 */
export type SlotAttribute =
  | "valueNorm"
  | "logBias"
  | "count"
  | "score"
  | "seen"
  | "momentum"
  | "normShare"
  | "threshold"
  | "indexerKey";

/** A slot attribute, and how many numbers a slot has of it where these are several. */
export type AttributeSpec = SlotAttribute | { name: SlotAttribute; width: number };

const shapeOf = (spec: AttributeSpec) => typeof spec === "string" ? { name: spec, width: 1 } : spec;

/** Numbers that a slot has of all attributes. */
export function numbersOf(attributes: readonly AttributeSpec[]): number {
  return attributes.reduce((sum, spec) => sum + shapeOf(spec).width, 0);
}

/** Bytes of one slot of one head: its key and value rows, source token and position (int32), and so many numbers of the policy's (f32). */
export function bytesPerSlot({ headDim }: Pick<CacheShape, "headDim">, numbers = 0, type: StoredType = "f32"): number {
  return 2 * BYTES_PER_ROW[type](headDim) + 2 * 4 + numbers * 4;
}

/** Turns a key by `delta` positions (`rope.ts`). */
interface Turns {
  shift(rows: Float32Array, from: number, to: number, delta: number): void;
}

/** `source` of a slot that stands for several tokens (a centroid): such slots are protected and belong to no place of the document. */
export const MEMORY_SOURCE = -1;

export class KvCache {
  readonly heads: number;
  /** Rows of all heads' slots, keys rotated to their positions. */
  private readonly allKeys: StoredRows;
  private readonly allValues: StoredRows;
  /** Slot attribute: index of the token in the prompt (head, document, tail), from which the row came. */
  readonly source: Int32Array;
  /** Slot attribute: RoPE index at which the key stands. */
  readonly position: Int32Array;
  /** First slot of every head's run, in slots from the pool's start. */
  readonly start: Int32Array;
  /** Live slots of every head. */
  readonly live: Int32Array;
  /** Slots of every head's run. */
  readonly room: Int32Array;
  /** What a latent memory keeps of evicted slots; null where the policy has none. */
  readonly latent: LatentState | null;
  /** Rows of layers that see the newest tokens only; null where the model has none. */
  readonly sliding: SlidingRows | null;
  readonly bytes: number;
  peakLive = 0;
  private readonly attributes = new Map<SlotAttribute, { pool: Float32Array; width: number }>();

  /**
   * @param capacity slots per head, on average
   * @param latentRank rows of every head's latent memory
   * @param type what keys and values are stored in; sliding rows and all else stay in float32
   * @throws {BudgetError} when the memory cannot be had
   */
  constructor(
    readonly shape: CacheShape,
    readonly capacity: number,
    attributes: readonly AttributeSpec[] = [],
    latentRank = 0,
    readonly type: StoredType = "f32",
  ) {
    this.heads = shape.layers * shape.kvHeads;
    const slots = this.heads * capacity;
    this.bytes = slots * bytesPerSlot(shape, numbersOf(attributes), type) +
      this.heads * latentBytes(latentRank, shape.headDim) +
      slidingBytes(shape.sliding, shape.kvHeads, shape.headDim);
    try {
      this.allKeys = new StoredRows(type, slots, shape.headDim);
      this.allValues = new StoredRows(type, slots, shape.headDim);
      this.source = new Int32Array(slots);
      this.position = new Int32Array(slots);
      this.sliding = shape.sliding ? new SlidingRows(shape.sliding, shape.kvHeads, shape.headDim) : null;
      this.latent = latentRank > 0 ? new LatentState(this.heads, latentRank, shape.headDim) : null;
      for (const { name, width } of attributes.map(shapeOf)) {
        this.attributes.set(name, { pool: new Float32Array(slots * width), width });
      }
    } catch {
      throw new BudgetError(
        `Cannot allocate a cache of ${capacity} slots per head (${(this.bytes / 2 ** 30).toFixed(1)} GiB): ` +
          "use a smaller --kv-budget",
      );
    }
    this.start = Int32Array.from({ length: this.heads }, (_, head) => head * capacity);
    this.live = new Int32Array(this.heads);
    this.room = new Int32Array(this.heads).fill(capacity);
  }

  /** Live slots per head, the mean over all heads. */
  get meanLive(): number {
    let sum = 0;
    for (const live of this.live) sum += live;
    return sum / this.heads;
  }

  /** Slots that can be appended to every head. */
  get free(): number {
    let least = Infinity;
    for (let head = 0; head < this.heads; head++) least = Math.min(least, this.room[head]! - this.live[head]!);
    return least;
  }

  /** The pool of keys, [slots, headDim]; only of a cache in float32. */
  get keys(): Float32Array {
    return this.allKeys.whole;
  }

  get values(): Float32Array {
    return this.allValues.whole;
  }

  /** A head's live rows, [live, headDim]: a view on the pool, or a widened copy where it stores less than float32. */
  keyRows(head: number): Float32Array {
    return this.allKeys.read(this.start[head]!, this.live[head]!);
  }

  valueRows(head: number): Float32Array {
    return this.allValues.read(this.start[head]!, this.live[head]!);
  }

  /** Puts rows of `keyRows` and `valueRows` back that were changed. */
  rewrite(head: number, { keys, values }: { keys?: Float32Array; values?: Float32Array }): void {
    if (keys) this.allKeys.write(this.start[head]!, keys);
    if (values) this.allValues.write(this.start[head]!, values);
  }

  /** A head's live rows as they are stored. */
  storedRows(head: number): { keys: StoredRun; values: StoredRun } {
    const start = this.start[head]!, live = this.live[head]!;
    return { keys: this.allKeys.run(start, live), values: this.allValues.run(start, live) };
  }

  /** Turns keys of a head's first `count` slots to other positions. @param target position of a slot, counted from the head's first */
  turn(head: number, count: number, rope: Turns, target: (slot: number) => number): void {
    const { headDim } = this.shape, start = this.start[head]!, keys = this.allKeys.read(start, count);
    // rows that did not turn stay as they are stored
    let turned = 0;
    const store = (end: number) => {
      const first = end - turned, positions = this.position.subarray(start + first, start + end);
      if (turned > 0) this.allKeys.write(start + first, keys.subarray(first * headDim, end * headDim), positions);
      turned = 0;
    };
    for (let slot = 0; slot < count; slot++) {
      const to = target(slot), delta = to - this.position[start + slot]!;
      if (delta === 0) {
        store(slot);
        continue;
      }
      rope.shift(keys, slot * headDim, slot * headDim, delta);
      this.position[start + slot] = to;
      turned++;
    }
    store(count);
  }

  has(name: SlotAttribute): boolean {
    return this.attributes.has(name);
  }

  /** An attribute of a head's live slots, a view on its pool: [live], or [live, width] where a slot has several numbers of it. */
  attribute(name: SlotAttribute, head: number): Float32Array {
    const { pool, width } = this.attributeShape(name), start = this.start[head]!;
    return pool.subarray(start * width, (start + this.live[head]!) * width);
  }

  /** Numbers that a slot has of an attribute. */
  width(name: SlotAttribute): number {
    return this.attributeShape(name).width;
  }

  private attributeShape(name: SlotAttribute) {
    const found = this.attributes.get(name);
    if (!found) throw new Error(`The cache was opened without the slot attribute ${name}`);
    return found;
  }

  /** Source tokens of a head's live slots, a view. */
  sources(head: number): Int32Array {
    const start = this.start[head]!;
    return this.source.subarray(start, start + this.live[head]!);
  }

  /**
   * Appends the first `count` of a pass's new rows to every head.
   * @param keys per head [rows of the pass, headDim], rotated; behind those of the cached layers, those of the sliding ones
   * @param firstSource index of the first row's token in the prompt
   * @param firstPosition its RoPE index
   * @param given attributes of the new rows, per head; what is not given starts at 0
   */
  append(
    keys: Float32Array[],
    values: Float32Array[],
    count: number,
    firstSource: number,
    firstPosition: number,
    given: { [name in SlotAttribute]?: Float32Array[] | null } = {},
  ) {
    const { headDim } = this.shape;
    for (let head = 0; head < this.heads; head++) {
      const live = this.live[head]!, slot = this.start[head]! + live;
      if (live + count > this.room[head]!) {
        throw new Error(`Cache overflow in head ${head}: ${live} live slots + ${count} > ${this.room[head]}`);
      }
      this.allKeys.write(slot, keys[head]!.subarray(0, count * headDim));
      this.allValues.write(slot, values[head]!.subarray(0, count * headDim));
      for (const [name, { pool, width }] of this.attributes) {
        const rows = given[name]?.[head];
        if (rows) pool.set(rows.subarray(0, count * width), slot * width);
        else pool.fill(0, slot * width, (slot + count) * width);
      }
      for (let i = 0; i < count; i++) {
        this.source[slot + i] = firstSource + i;
        this.position[slot + i] = firstPosition + i;
      }
      this.live[head] = live + count;
    }
    this.sliding?.append(keys.slice(this.heads), values.slice(this.heads), count);
    this.peakLive = Math.max(this.peakLive, this.meanLive);
  }

  /** Everything that a pass reads of a slot, and how many numbers each pool has for it. */
  private *pools(): Generator<Pool> {
    yield* this.allKeys.pools;
    yield* this.allValues.pools;
    for (const { pool, width } of this.attributes.values()) yield [pool, width];
  }

  /** All that is known of slots, by name: the same names in the same order for the same policy and type. */
  namedPools(): [name: string, pool: Pool[0] | Int32Array, width: number][] {
    const rows = (name: string, { pools }: StoredRows) =>
      pools.map(([pool, width], i): [string, Pool[0], number] => [i === 0 ? name : `${name}.scales`, pool, width]);
    return [
      ...rows("keys", this.allKeys),
      ...rows("values", this.allValues),
      ["source", this.source, 1],
      ["position", this.position, 1],
      ...Array.from(this.attributes, ([name, { pool, width }]): [string, Float32Array, number] => [name, pool, width]),
    ];
  }

  /** Moves `count` slots from `from` to `to`, both counted in the pool; they may overlap. */
  move(from: number, to: number, count: number): void {
    if (from === to || count === 0) return;
    this.source.copyWithin(to, from, from + count);
    this.position.copyWithin(to, from, from + count);
    for (const [pool, width] of this.pools()) pool.copyWithin(to * width, from * width, (from + count) * width);
  }

  /**
   * Moves the slots that stay to the front of their heads' runs. Pool by pool, so that each is walked once: that takes half as long as moving slot by slot
   * what all pools have of it.
   * @param keep per head ascending slots
   */
  gather(keep: readonly Int32Array[]): void {
    // runs of neighbouring slots move as one block: to, from and end of each
    const runs: number[] = [];
    keep.forEach((slots, head) => {
      const start = this.start[head]!;
      for (let to = 0; to < slots.length;) {
        const first = to, from = slots[to]!;
        while (to < slots.length && slots[to] === from + to - first) to++;
        if (from !== first) runs.push(start + first, start + from, start + from + to - first);
      }
      this.live[head] = slots.length;
    });
    for (const [pool, width] of [[this.source, 1], [this.position, 1], ...this.pools()] as const) {
      for (let i = 0; i < runs.length; i += 3) {
        pool.copyWithin(runs[i]! * width, runs[i + 1]! * width, runs[i + 2]! * width);
      }
    }
  }

  /**
   * Lays the heads' runs out anew, one after the other, so that every head has as much room beyond its live slots as the others. Nothing is allocated:
   * live slots move within the pool.
   */
  layOut(): void {
    const starts = this.shareOut();
    // those that go left first, from the left; then those that go right, from the right: no run lands on one that has not moved yet
    for (let head = 0; head < this.heads; head++) {
      if (starts[head]! < this.start[head]!) this.move(this.start[head]!, starts[head]!, this.live[head]!);
    }
    for (let head = this.heads - 1; head >= 0; head--) {
      if (starts[head]! > this.start[head]!) this.move(this.start[head]!, starts[head]!, this.live[head]!);
    }
    this.start.set(starts);
  }

  /** Gives every head as much room beyond its live slots as the others, one run after the other. @returns where each run shall start */
  private shareOut(): Int32Array {
    let live = 0;
    for (const count of this.live) live += count;
    const free = Math.floor((this.heads * this.capacity - live) / this.heads);
    const starts = new Int32Array(this.heads);
    for (let head = 0, at = 0; head < this.heads; head++) {
      starts[head] = at;
      this.room[head] = this.live[head]! + free;
      at += this.room[head]!;
    }
    return starts;
  }

  /** Lays out runs for live slots that are not there yet: a saved state's. */
  placeRuns(): void {
    this.start.set(this.shareOut());
  }

  /**
   * Narrows every head to its first `sinks` slots and those of tokens from `firstSource` on, so that passes see nothing else, and puts everything back
   * after `work`; rows appended meanwhile are forgotten, and a latent memory, which may know of anything, is hidden. Nothing is allocated but room for the sinks' rows: they stand for a moment where the slots
   * before the stretch were.
   */
  async narrowed<T>(firstSource: number, sinks: number, work: () => Promise<T>): Promise<T> {
    const before = { start: this.start.slice(), live: this.live.slice(), room: this.room.slice() };
    const covered: (() => void)[] = [];
    for (let head = 0; head < this.heads; head++) {
      const start = this.start[head]!, live = this.live[head]!;
      let first = 0;
      while (first < live && this.source[start + first]! < firstSource) first++;
      const front = first - Math.min(sinks, first); // the sinks go to front…first
      if (front === 0) continue;
      for (const [pool, width] of this.pools()) {
        const rows = (slot: number) => pool.subarray(slot * width, (slot + first - front) * width);
        const saved = rows(start + front).slice(), sink = rows(start).slice();
        rows(start + front).set(sink);
        covered.push(() => {
          rows(start + front).set(saved);
          rows(start).set(sink);
        });
      }
      this.start[head] = start + front;
      this.live[head] = live - front;
      this.room[head] = this.room[head]! - front;
    }
    const { latent } = this, wasVisible = latent?.visible ?? false;
    // nothing is out of sight from the first token on
    if (latent && firstSource > 0) latent.visible = false;
    try {
      return await (this.sliding ? this.sliding.narrowed(firstSource, work) : work());
    } finally {
      if (latent) latent.visible = wasVisible;
      this.start.set(before.start);
      this.live.set(before.live);
      this.room.set(before.room);
      for (const restore of covered) restore();
    }
  }
}
