/**
 * One layer's rows as kernels compute with them: those of the cache itself, or, where it stores int8, a copy in float32 (`../compact/widen_rows.ts`), in an
 * array that the next layer's take over. What a kernel writes into such a copy is stored by whoever recorded it.
 */
import { BIASES, type GpuKvCache, type NewRows } from "../../core/gpu_cache.ts";
import { copyColumns } from "../compact/copy_columns.ts";
import { quantiseRows } from "../compact/quantise_rows.ts";
import { widenRows } from "../compact/widen_rows.ts";
import type { LayerRows, Layers } from "../compensate/attention_flow.ts";
import type { Gpu } from "../gpu.ts";
import type { Recording } from "../recording.ts";
import type { GpuMemory } from "./compaction.ts";

type Memory = Pick<GpuMemory, "cache" | "slots">;

/** A layer's keys, with their biases in a wide cache. */
export function keysOf(recording: Recording, memory: Memory, layer: number): GPUBuffer {
  const { cache } = memory, { int8 } = cache;
  if (!int8) return cache.keys[layer]!;
  const rows = widened(recording, memory, "keys", cache.keys[layer]!, int8.keyScales[layer]!);
  if (cache.wide) {
    const { kvHeads, headDim } = cache.shape, { slotDim, capacity } = cache;
    copyColumns.record(recording, { origin: int8.biases[layer]!, copy: rows }, {
      heads: kvHeads,
      count: capacity,
      fromHead: BIASES * capacity,
      fromRow: BIASES,
      toHead: slotDim * capacity,
      toRow: slotDim,
      toFirst: 0,
      COLUMNS: BIASES,
      FROM_COLUMN: 0,
      TO_COLUMN: headDim,
    });
  }
  return rows;
}

/** A layer's values. */
export function valuesOf(recording: Recording, memory: Memory, layer: number): GPUBuffer {
  const { cache } = memory, { int8 } = cache;
  if (!int8) return cache.values[layer]!;
  return widened(recording, memory, "values", cache.values[layer]!, int8.valueScales[layer]!);
}

/** Stores a layer's keys that kernels wrote over. @param turned they are rounded by chance */
export function storeKeys(
  recording: Recording,
  { cache }: Memory,
  layer: number,
  rows: GPUBuffer,
  turned = false,
): void {
  const { int8, shape: { kvHeads, headDim }, slotDim, capacity } = cache;
  if (!int8) return;
  quantised(recording, cache, rows, cache.keys[layer]!, int8.keyScales[layer]!, turned);
  if (!cache.wide) return;
  copyColumns.record(recording, { origin: rows, copy: int8.biases[layer]! }, {
    heads: kvHeads,
    count: capacity,
    fromHead: slotDim * capacity,
    fromRow: slotDim,
    toHead: BIASES * capacity,
    toRow: BIASES,
    toFirst: 0,
    COLUMNS: BIASES,
    FROM_COLUMN: headDim,
    TO_COLUMN: 0,
  });
}

/** All layers one after the other, for kernels that write their rows; afterwards these are stored. */
export function writtenLayers(recording: Recording, memory: Memory): Layers {
  const { cache, cache: { shape: { layers } } } = memory;
  return {
    length: layers,
    forEach(work: (rows: LayerRows, layer: number) => void) {
      for (let layer = 0; layer < layers; layer++) {
        const keys = keysOf(recording, memory, layer), values = valuesOf(recording, memory, layer);
        work({ keys, values }, layer);
        storeKeys(recording, memory, layer, keys);
        if (cache.int8) {
          quantised(recording, cache, values, cache.values[layer]!, cache.int8.valueScales[layer]!, false);
        }
      }
    },
  };
}

/** Where what hides a slot is written: of rows with `WORDS` numbers each the `COLUMN`. */
export function hidingColumn({ int8, keys, slotDim, shape: { headDim } }: GpuKvCache, layer: number) {
  return int8
    ? { pool: int8.biases[layer]!, WORDS: BIASES, COLUMN: 1 }
    : { pool: keys[layer]!, WORDS: slotDim, COLUMN: headDim + 1 };
}

/** Stores a pass's rows behind the live slots of a cache in int8. */
export function storeNewRows(gpu: Gpu, cache: GpuKvCache, { keys, values, count }: NewRows): void {
  const recording = gpu.record(), { int8, shape: { layers, kvHeads, headDim }, slotDim, capacity } = cache;
  for (let layer = 0; layer < layers; layer++) {
    const first = cache.end[layer]!, headStep = slotDim, rowStep = kvHeads * slotDim;
    const numbers = { heads: kvHeads, stride: capacity, headStep, rowStep, first, count, D: headDim, CHANCE: 0 };
    const { keyScales, valueScales, biases } = int8!;
    quantiseRows.record(
      recording,
      { rows: keys[layer]!, data: cache.keys[layer]!, scales: keyScales[layer]! },
      numbers,
    );
    quantiseRows.record(
      recording,
      { rows: values[layer]!, data: cache.values[layer]!, scales: valueScales[layer]! },
      numbers,
    );
    if (!cache.wide) continue;
    copyColumns.record(recording, { origin: keys[layer]!, copy: biases[layer]! }, {
      heads: kvHeads,
      count,
      fromHead: headStep,
      fromRow: rowStep,
      toHead: BIASES * capacity,
      toRow: BIASES,
      toFirst: first,
      COLUMNS: BIASES,
      FROM_COLUMN: headDim,
      TO_COLUMN: 0,
    });
  }
  recording.submit();
}

function widened(
  recording: Recording,
  { cache: { shape: { kvHeads, headDim: D }, slotDim: WIDTH, capacity: stride }, slots }: Memory,
  name: string,
  data: GPUBuffer,
  scales: GPUBuffer,
): GPUBuffer {
  const rows = slots.array(`widened.${name}`, 4 * kvHeads * stride * WIDTH);
  widenRows.record(recording, { data, scales, rows }, { heads: kvHeads, stride, D, WIDTH });
  return rows;
}

function quantised(
  recording: Recording,
  { shape: { kvHeads, headDim: D }, slotDim, capacity: stride }: GpuKvCache,
  rows: GPUBuffer,
  data: GPUBuffer,
  scales: GPUBuffer,
  byChance: boolean,
): void {
  quantiseRows.record(recording, { rows, data, scales }, {
    heads: kvHeads,
    stride,
    headStep: slotDim * stride,
    rowStep: slotDim,
    first: 0,
    count: stride,
    D,
    CHANCE: Number(byChance),
  });
}
