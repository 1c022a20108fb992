/**
 * The key/value memory on a GPU: one buffer for keys and one for values per layer, allocated once when it opens and never again. A forward pass writes its
 * new rows in place, behind the last live slot; `append` then makes them live.
 *
 * All KV heads of a layer end at the same slot, as a pass appends to all of them at one place. Heads that keep different numbers of slots begin at
 * different ones, which only the GPU knows (`kernels/slots.ts`): what stands before a head's first slot is hidden by a bias. A `wide` cache has
 * `BIAS_DIMS` numbers more per slot than the head: of keys, the first is the slot's log-bias and the second hides it; the others are zeros.
 *
 * A cache in int8 holds the head's numbers only, four to a word, and beside them a scale per row and a wide slot's two biases (`GpuInt8`). Whoever computes
 * with it takes one layer's rows at a time, widened to float32 (`engine/gpu_past.ts`, `kernels/reading/rows.ts`); a pass gives its new rows to `store`.
 */
import type { CacheShape } from "./cache.ts";
import { BudgetError } from "./errors.ts";
import { GpuSlidingRows } from "./gpu_sliding_rows.ts";
import type { KvType, StoredType } from "./stored_rows.ts";

/** Numbers that a wide slot has beyond the head's: one would do for its bias, but kernels like multiples of eight. */
export const BIAS_DIMS = 8;
/** Those of them that are not zeros in keys. */
export const BIASES = 2;
/** `GPUBufferUsage` STORAGE, COPY_SRC and COPY_DST: the global itself is not there in every runtime when this file is read. */
const USAGE = 0x80 | 0x04 | 0x08;
/** Bytes of a number that is computed with. */
export const NUMBER_BYTES: Readonly<Record<KvType, number>> = { f32: 4, f16: 2 };
/**
 * Added to the logits of a hidden slot. In f16 it is as low as its product with a query's √D, for heads of up to 256, still is no infinity, which kernels of
 * ONNX Runtime are not made for: where all slots of a tile were infinitely unlikely, their weights would be 0 / 0.
 */
export const HIDDEN: Readonly<Record<KvType, number>> = { f32: -1e9, f16: -3000 };

/** What rows are computed with in that are stored so. */
export const computedIn = (type: StoredType): KvType => type === "f16" ? "f16" : "f32";

/** What a pass holds of a cache in int8 beside it: keys and values of one layer in float32, and one of the two before its biases are beside it. */
export function gpuWidenedBytes(
  { kvHeads, headDim }: Pick<CacheShape, "kvHeads" | "headDim">,
  capacity: number,
  wide: boolean,
  type: StoredType,
): number {
  if (type !== "int8") return 0;
  return NUMBER_BYTES.f32 * kvHeads * capacity * (2 * headDim + (wide ? 2 * BIAS_DIMS + headDim : 0));
}

/** Beside the integers, each of which is stored 128 higher, as unsigned bytes: ONNX Runtime takes no others from a GPU's buffer. */
export interface GpuInt8 {
  /** Per layer float32 [kvHeads, capacity]: what a row's integers are multiplied by. */
  keyScales: GPUBuffer[];
  valueScales: GPUBuffer[];
  /** Per layer float32 [kvHeads, capacity, BIASES], of a wide cache. */
  biases: GPUBuffer[];
  /** uint8 [kvHeads, capacity], all 128: of all layers. */
  zeroPoints: GPUBuffer;
  /** float32 [kvHeads, capacity, BIAS_DIMS], all 0, of a wide cache: of all layers. */
  zeros: GPUBuffer | null;
}

/** New rows of a pass: per layer float32 [count, kvHeads * slotDim]. */
export interface NewRows {
  keys: GPUBuffer[];
  values: GPUBuffer[];
  count: number;
}

export class GpuKvCache {
  /** Layers times KV heads; a *head* is numbered `layer * kvHeads + kvHead`, as in `KvCache`. */
  readonly heads: number;
  /** Numbers of a key row and of a value row. */
  readonly slotDim: number;
  /** Per layer [kvHeads, capacity, slotDim] of `type`, keys rotated to their positions; in int8 [kvHeads, capacity, headDim]. */
  readonly keys: GPUBuffer[];
  readonly values: GPUBuffer[];
  /** Of a cache in int8. */
  readonly int8: GpuInt8 | null;
  /** Writes a pass's rows behind the live slots of a cache in int8: a kernel's work. Whoever opens such a cache sets it. */
  store: (rows: NewRows) => void = () => {
    throw new Error("Nobody stores what passes write into this cache");
  };
  /** One past the last live slot, per layer. */
  readonly end: Int32Array;
  /** Rows of layers that see the newest tokens only; null where the model has none. */
  readonly sliding: GpuSlidingRows | null;
  bytes = 0;

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
    readonly type: StoredType = "f32",
    mostRows = capacity,
  ) {
    const { layers, kvHeads, headDim } = shape, { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.heads = layers * kvHeads;
    this.slotDim = headDim + (wide ? BIAS_DIMS : 0);
    // in int8 that of the widened rows
    const number = NUMBER_BYTES[computedIn(type)], size = kvHeads * capacity * this.slotDim * number;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (size > most) {
      throw new BudgetError(
        `Cannot allocate a cache of ${capacity} slots per head: a layer's keys take ${size} bytes, and the GPU allows ` +
          `${most} in one buffer; use a --kv-budget of at most ${Math.floor(capacity * most / size)} less the chunk`,
      );
    }
    const buffer = (label: string, bytes: number) => {
      const size = 16 * Math.ceil(bytes / 16);
      this.bytes += size;
      return device.createBuffer({ label, size, usage: USAGE });
    };
    const slots = kvHeads * capacity, isInt8 = type === "int8";
    const buffers = (label: string, bytes: number) =>
      Array.from({ length: layers }, (_, layer) => buffer(`${label}.${layer}`, bytes));
    this.keys = buffers("cache.keys", isInt8 ? slots * headDim : size);
    this.values = buffers("cache.values", isInt8 ? slots * headDim : size);
    this.int8 = isInt8
      ? {
        keyScales: buffers("cache.key_scales", 4 * slots),
        valueScales: buffers("cache.value_scales", 4 * slots),
        biases: wide ? buffers("cache.biases", 4 * BIASES * slots) : [],
        zeroPoints: buffer("cache.zero_points", slots),
        zeros: wide ? buffer("cache.zeros", 4 * BIAS_DIMS * slots) : null,
      }
      : null;
    if (this.int8) {
      device.queue.writeBuffer(this.int8.zeroPoints, 0, new Uint8Array(this.int8.zeroPoints.size).fill(128));
    }
    this.end = new Int32Array(layers);
    this.sliding = shape.sliding ? new GpuSlidingRows(device, shape.sliding, kvHeads, headDim, mostRows, number) : null;
    this.bytes += this.sliding?.bytes ?? 0;
  }

  /** Slots that can be appended to every head. */
  get free(): number {
    return this.capacity - this.end.reduce((most, end) => Math.max(most, end), 0);
  }

  /** Byte offset of a head's slot in its layer's keys, and in its values, of a cache that is computed with as it is stored. */
  offset(head: number, slot: number): number {
    return (head % this.shape.kvHeads * this.capacity + slot) * this.slotDim * NUMBER_BYTES[computedIn(this.type)];
  }

  /** Makes the first `count` rows live that the last pass wrote. */
  append(count: number): void {
    if (count > this.free) throw new Error(`Cache overflow: ${count} rows, and ${this.free} slots are free`);
    for (let layer = 0; layer < this.end.length; layer++) this.end[layer]! += count;
    this.sliding?.append(count);
  }

  close(): void {
    for (const buffer of [...this.keys, ...this.values]) buffer.destroy();
    if (this.int8) {
      for (const part of Object.values(this.int8)) for (const buffer of [part ?? []].flat()) buffer.destroy();
    }
    this.sliding?.close();
  }
}
