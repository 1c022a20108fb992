/**
 * The key/value memory on a GPU: one buffer for keys and one for values per layer, allocated once when it opens and never again. A forward pass writes its
 * new rows in place, behind the last live slot; `append` then makes them live.
 *
 * All KV heads of a layer end at the same slot, as a pass appends to all of them at one place. Heads that keep different numbers of slots begin at
 * different ones, which only the GPU knows (`kernels/slots.ts`): what stands before a head's first slot is hidden by a bias. A `wide` cache has
 * `BIAS_DIMS` numbers more per slot than the head: of keys, the first is the slot's log-bias and the second hides it; the others are zeros.
 */
import type { CacheShape } from "./cache.ts";
import { BudgetError } from "./errors.ts";
import { GpuSlidingRows } from "./gpu_sliding_rows.ts";
import type { KvType } from "./stored_rows.ts";

/** Numbers that a wide slot has beyond the head's: one would do for its bias, but kernels like multiples of eight. */
export const BIAS_DIMS = 8;
/** `GPUBufferUsage` STORAGE, COPY_SRC and COPY_DST: the global itself is not there in every runtime when this file is read. */
const USAGE = 0x80 | 0x04 | 0x08;
/** Bytes of a stored number. */
export const NUMBER_BYTES: Readonly<Record<KvType, number>> = { f32: 4, f16: 2 };
/**
 * Added to the logits of a hidden slot. In f16 it is as low as its product with a query's √D, for heads of up to 256, still is no infinity, which kernels of
 * ONNX Runtime are not made for: where all slots of a tile were infinitely unlikely, their weights would be 0 / 0.
 */
export const HIDDEN: Readonly<Record<KvType, number>> = { f32: -1e9, f16: -3000 };

/** Bytes of one slot of one head: key and value rows. */
export function bytesPerGpuSlot(headDim: number, wide: boolean, type: KvType): number {
  return (headDim + (wide ? BIAS_DIMS : 0)) * 2 * NUMBER_BYTES[type];
}

export class GpuKvCache {
  /** Layers times KV heads; a *head* is numbered `layer * kvHeads + kvHead`, as in `KvCache`. */
  readonly heads: number;
  /** Numbers of a key row and of a value row. */
  readonly slotDim: number;
  /** Per layer [kvHeads, capacity, slotDim] of `type`, keys rotated to their positions. */
  readonly keys: GPUBuffer[];
  readonly values: GPUBuffer[];
  /** One past the last live slot, per layer. */
  readonly end: Int32Array;
  /** Rows of layers that see the newest tokens only; null where the model has none. */
  readonly sliding: GpuSlidingRows | null;
  readonly bytes: number;

  /**
   * @param capacity slots of every head
   * @param wide slots have a bias: for features with `logBias`, and for policies whose heads keep different numbers of slots
   * @param type as the features' `kvType`
   * @param mostRows of a pass, for sliding layers
   * @throws {BudgetError} when a layer's buffer would be larger than the device allows
   */
  constructor(
    readonly device: GPUDevice,
    readonly shape: CacheShape,
    readonly capacity: number,
    readonly wide: boolean,
    readonly type: KvType = "f32",
    mostRows = capacity,
  ) {
    const { layers, kvHeads, headDim } = shape, { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.heads = layers * kvHeads;
    this.slotDim = headDim + (wide ? BIAS_DIMS : 0);
    const size = kvHeads * capacity * this.slotDim * NUMBER_BYTES[type];
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
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
    this.end = new Int32Array(layers);
    this.sliding = shape.sliding
      ? new GpuSlidingRows(device, shape.sliding, kvHeads, headDim, mostRows, NUMBER_BYTES[type])
      : null;
    this.bytes = this.heads * capacity * bytesPerGpuSlot(headDim, wide, type) + (this.sliding?.bytes ?? 0);
  }

  /** Slots that can be appended to every head. */
  get free(): number {
    return this.capacity - this.end.reduce((most, end) => Math.max(most, end), 0);
  }

  /** Byte offset of a head's slot in its layer's keys, and in its values. */
  offset(head: number, slot: number): number {
    return (head % this.shape.kvHeads * this.capacity + slot) * this.slotDim * NUMBER_BYTES[this.type];
  }

  /** Makes the first `count` rows live that the last pass wrote. */
  append(count: number): void {
    if (count > this.free) throw new Error(`Cache overflow: ${count} rows, and ${this.free} slots are free`);
    for (let layer = 0; layer < this.end.length; layer++) this.end[layer]! += count;
    this.sliding?.append(count);
  }

  close(): void {
    for (const buffer of [...this.keys, ...this.values]) buffer.destroy();
    this.sliding?.close();
  }
}
