/**
 * A cache in int8 as a GPU's graph reads it (`../gpu_cache.ts`): one layer's rows at a time are widened to float32, attention writes its new rows behind them
 * in place, and they are gone with the layer; the new rows are outputs. Three things that ONNX Runtime 1.30 wants for that:
 *
 * - The nodes come before all others: its order goes from the end of the graph to what a node takes, the latest made first, so that made later they would
 *   all run at the beginning, and every layer's rows would be wide at once.
 * - Scales are blocks of a row. With one for each row of a matrix a Reshape must follow, and what attention then writes in place is not given back.
 * - `int8` is no type of a tensor that lies in a GPU's buffer: unsigned bytes are, with a zero point for every row, which all layers share.
 */
import { BIAS_DIMS, BIASES, type GpuKvCache } from "../gpu_cache.ts";
import type { Graph } from "./onnx.ts";

/** A tensor on the GPU by the name of its input. */
export type GpuFeed = [name: string, type: "uint8" | "float32", buffer: GPUBuffer, dims: number[]];

const scalesOf = (rows: string) => `${rows}.scales`, biasesOf = (keys: string) => `${keys}.biases`;
const ZERO_POINTS = "past.zero_points";
/** Of a key's row behind its biases, and of a value's. */
const zerosOf = (columns: number) => `past.zeros.${columns}`;

/** Declares what all layers share. */
export function sharedInputs(graph: Graph, kvHeads: number, isWide: boolean): void {
  graph.input(ZERO_POINTS, "uint8", [1, kvHeads, "C", 1]);
  if (!isWide) return;
  for (const columns of [BIAS_DIMS - BIASES, BIAS_DIMS]) {
    graph.input(zerosOf(columns), "float32", [1, kvHeads, "C", columns]);
  }
}

/** Declares a layer's rows of one kind, and widens them. @returns their name in float32, [1, kvHeads, C, slot] */
export function widenedPast(
  graph: Graph,
  rows: string,
  { kvHeads, headDim }: { kvHeads: number; headDim: number },
  { isWide, isKey }: { isWide: boolean; isKey: boolean },
): string {
  graph.input(rows, "uint8", [1, kvHeads, "C", headDim]);
  graph.input(scalesOf(rows), "float32", [1, kvHeads, "C", 1]);
  const block = { axis: 3, block_size: headDim };
  const own = graph.node("DequantizeLinear", [rows, scalesOf(rows), ZERO_POINTS], [`${rows}.own`], block);
  if (!isWide) return own;
  const biases = isKey ? [graph.input(biasesOf(rows), "float32", [1, kvHeads, "C", BIASES])] : [];
  const zeros = zerosOf(BIAS_DIMS - BIASES * biases.length);
  return graph.node("Concat", [own, ...biases, zeros], [`${rows}.wide`], { axis: 3 });
}

/** What the shared inputs take. */
export function sharedFeeds({ int8, shape: { kvHeads }, capacity }: GpuKvCache): GpuFeed[] {
  const { zeroPoints, zeros } = int8!,
    feeds: GpuFeed[] = [[ZERO_POINTS, "uint8", zeroPoints, [1, kvHeads, capacity, 1]]];
  if (!zeros) return feeds;
  for (const columns of [BIAS_DIMS - BIASES, BIAS_DIMS]) {
    feeds.push([zerosOf(columns), "float32", zeros, [1, kvHeads, capacity, columns]]);
  }
  return feeds;
}

/** What a layer's inputs take. @param layer of the cache */
export function pastFeeds(cache: GpuKvCache, layer: number, keys: string, values: string): GpuFeed[] {
  const { shape: { kvHeads, headDim }, capacity } = cache, { keyScales, valueScales, biases } = cache.int8!;
  const dims = (columns: number) => [1, kvHeads, capacity, columns];
  const feeds: GpuFeed[] = [
    [keys, "uint8", cache.keys[layer]!, dims(headDim)],
    [scalesOf(keys), "float32", keyScales[layer]!, dims(1)],
    [values, "uint8", cache.values[layer]!, dims(headDim)],
    [scalesOf(values), "float32", valueScales[layer]!, dims(1)],
  ];
  if (cache.wide) feeds.push([biasesOf(keys), "float32", biases[layer]!, dims(BIASES)]);
  return feeds;
}
