/**
 * The key/value memory on a GPU: one buffer for keys and one for values per layer, allocated once when it opens and never again. A forward pass writes its
 * new rows in place, behind the last live slot; `append` then makes them live.
 *
 * All KV heads of a layer end at the same slot, as a pass appends to all of them at one place. Heads that keep different numbers of slots begin at
 * different ones: a head's live slots are `start…end` of its capacity, and those before are hidden by their bias (a `wide` cache, whose slots have
 * `BIAS_DIMS` numbers more than the head).
 */
import type { CacheShape } from "./cache.ts";
import { BudgetError } from "./errors.ts";

/** Numbers that a wide slot has beyond the head's: one would do for its bias, but kernels like multiples of eight. */
export const BIAS_DIMS = 8;
/** `GPUBufferUsage` STORAGE, COPY_SRC and COPY_DST: the global itself is not there in every runtime when this file is read. */
const USAGE = 0x80 | 0x04 | 0x08;
/** Added to the logits of a hidden slot. */
export const HIDDEN = -1e9;

/** Bytes of one slot of one head: key and value rows (f32), source token and position (int32). */
export function bytesPerGpuSlot(headDim: number, wide: boolean): number {
  return (headDim + (wide ? BIAS_DIMS : 0)) * 2 * 4 + 2 * 4;
}

export class GpuKvCache {
  /** Layers times KV heads; a *head* is numbered `layer * kvHeads + kvHead`, as in `KvCache`. */
  readonly heads: number;
  /** Numbers of a key row and of a value row: the head's, and the bias with zeros in a wide cache. */
  readonly slotDim: number;
  /** Per layer float32 [kvHeads, capacity, slotDim], keys rotated to their positions. */
  readonly keys: GPUBuffer[];
  readonly values: GPUBuffer[];
  /** int32 [heads, capacity]: index of the token in the prompt from which the row came; written by `flush`. */
  readonly source: GPUBuffer;
  /** int32 [heads, capacity]: RoPE index at which the key stands; written by `flush`. */
  readonly position: GPUBuffer;
  /** First live slot of every head. */
  readonly start: Int32Array;
  /** One past the last live slot, per layer. */
  readonly end: Int32Array;
  readonly bytes: number;
  peakLive = 0;
  private pending: { first: Int32Array; count: number; source: number; position: number }[] = [];

  /**
   * @param capacity slots of every head
   * @param wide slots have a bias: for features with `logBias`, and for policies whose heads keep different numbers of slots
   * @throws {BudgetError} when a layer's buffer would be larger than the device allows
   */
  constructor(
    readonly device: GPUDevice,
    readonly shape: CacheShape,
    readonly capacity: number,
    readonly wide: boolean,
  ) {
    const { layers, kvHeads, headDim } = shape, { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.heads = layers * kvHeads;
    this.slotDim = headDim + (wide ? BIAS_DIMS : 0);
    this.bytes = this.heads * capacity * bytesPerGpuSlot(headDim, wide);
    const size = kvHeads * capacity * this.slotDim * 4, most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (size > most) {
      throw new BudgetError(
        `Cannot allocate a cache of ${capacity} slots per head: a layer's keys take ${size} bytes, and the GPU allows ` +
          `${most} in one buffer; use a --kv-budget of at most ${Math.floor(capacity * most / size)} less the chunk`,
      );
    }
    const buffers = (label: string) =>
      Array.from(
        { length: layers },
        (_, layer) => device.createBuffer({ label: `${label}.${layer}`, size, usage: USAGE }),
      );
    this.keys = buffers("cache.keys");
    this.values = buffers("cache.values");
    this.source = device.createBuffer({ label: "cache.source", size: this.heads * capacity * 4, usage: USAGE });
    this.position = device.createBuffer({ label: "cache.position", size: this.heads * capacity * 4, usage: USAGE });
    this.start = new Int32Array(this.heads);
    this.end = new Int32Array(layers);
  }

  /** Live slots of a head. */
  live(head: number): number {
    return this.end[Math.floor(head / this.shape.kvHeads)]! - this.start[head]!;
  }

  /** Live slots per head, the mean over all heads. */
  get meanLive(): number {
    let sum = 0;
    for (let head = 0; head < this.heads; head++) sum += this.live(head);
    return sum / this.heads;
  }

  /** Slots that can be appended to every head. */
  get free(): number {
    return this.capacity - this.end.reduce((most, end) => Math.max(most, end), 0);
  }

  /** Byte offset of a head's slot in its layer's keys, and in its values. */
  offset(head: number, slot: number): number {
    return (head % this.shape.kvHeads * this.capacity + slot) * this.slotDim * 4;
  }

  /** Makes the first `count` rows live that the last pass wrote. @param firstSource index of the first row's token in the prompt */
  append(count: number, firstSource: number, firstPosition: number): void {
    if (count > this.free) throw new Error(`Cache overflow: ${count} rows, and ${this.free} slots are free`);
    this.pending.push({ first: this.end.slice(), count, source: firstSource, position: firstPosition });
    for (let layer = 0; layer < this.end.length; layer++) this.end[layer]! += count;
    this.peakLive = Math.max(this.peakLive, this.meanLive);
  }

  /** Writes sources and positions of what was appended: once before a policy looks, not for every written token. */
  flush(): void {
    const { capacity, device, shape: { kvHeads } } = this;
    for (const { first, count, source, position } of this.pending) {
      const sources = Int32Array.from({ length: count }, (_, i) => source + i);
      const positions = Int32Array.from({ length: count }, (_, i) => position + i);
      for (let head = 0; head < this.heads; head++) {
        const at = (head * capacity + first[Math.floor(head / kvHeads)]!) * 4;
        device.queue.writeBuffer(this.source, at, sources);
        device.queue.writeBuffer(this.position, at, positions);
      }
    }
    this.pending = [];
  }

  /**
   * Says where the heads' live slots are after they were moved, and hides those before a head's first.
   * @param starts per head
   * @param ends per layer
   */
  settle(starts: ArrayLike<number>, ends: ArrayLike<number>): void {
    for (let head = 0; head < this.heads; head++) {
      const start = starts[head]!, end = ends[Math.floor(head / this.shape.kvHeads)]!;
      if (start > 0 && !this.wide) {
        throw new Error(`Head ${head} begins at slot ${start}: heads of different lengths need a wide cache`);
      }
      if (start < 0 || start > end || end > this.capacity) {
        throw new Error(`Head ${head} cannot hold slots ${start}…${end} of ${this.capacity}`);
      }
      this.hide(head, 0, start);
    }
    this.pending = [];
    this.start.set(starts);
    this.end.set(ends);
  }

  /** Keys that nothing attends to: zeros with the bias `HIDDEN`. */
  private hide(head: number, from: number, to: number): void {
    if (to <= from) return;
    const { slotDim, shape: { kvHeads, headDim } } = this, rows = new Float32Array((to - from) * slotDim);
    for (let row = 0; row < to - from; row++) rows[row * slotDim + headDim] = HIDDEN;
    this.device.queue.writeBuffer(this.keys[Math.floor(head / kvHeads)]!, this.offset(head, from), rows);
  }

  close(): void {
    for (const buffer of [...this.keys, ...this.values, this.source, this.position]) buffer.destroy();
  }
}
