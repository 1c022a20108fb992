/**
 * What the engine takes on a GPU beside the cache: its weights, byte for byte, and what ONNX Runtime keeps for activations. The latter comes in buckets: a
 * buffer is as large as the next of `BUCKETS`, and stays for the next tensor of its bucket.
 */
import { BIAS_DIMS, computedIn, NUMBER_BYTES } from "../gpu_cache.ts";
import { blockForm } from "./blocks.ts";
import type { GraphFeatures } from "./features.ts";
import { givesQueries, slotDim } from "./graph_webgpu.ts";
import { cachedLayers } from "./layers.ts";
import type { ModelConfig, ModelFile } from "./weights.ts";

/** Sizes of ONNX Runtime 1.30's buffers (buffer_manager.cc); larger ones are as large as they must be. */
const BUCKETS = [
  ...[64, 128, 256, 512, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152, 4194304],
  ...[8388608, 12582912, 16777216, 26214400, 33554432, 44236800, 58982400, 67108864, 134217728, 167772160],
];
const bucketOf = (bytes: number): number => BUCKETS.find((size) => size >= bytes) ?? 16 * Math.ceil(bytes / 16);
const rounded = (bytes: number): number => 16 * Math.ceil(bytes / 16);

/** Bytes of the weights as `prepare` writes them in blocks. A tied embedding stands on the device twice: to look rows up, and as the last product's matrix. */
export function weightBytes({ config, tensors }: Pick<ModelFile, "config" | "tensors">): number {
  let all = 0;
  for (const [name, { type, shape }] of tensors) {
    const [rows, columns] = shape;
    if (columns === undefined) {
      all += rounded(4 * rows!);
      continue;
    }
    const { bits, blockSize, zeroPoints } = blockForm(type, columns), blocks = rows! * Math.ceil(columns / blockSize);
    const bytes = rounded(blocks * blockSize * bits / 8) + rounded(4 * blocks) + (zeroPoints ? rounded(blocks) : 0);
    all += name === "embed_tokens" && config.tied ? 2 * bytes : bytes;
  }
  return all;
}

/** A forward pass as it is asked for. */
export interface PassShape {
  rows: number;
  queryRows?: number;
  logitsRows?: number;
}

/**
 * Bytes that ONNX Runtime holds for activations once all of these passes were run.
 * @param capacity slots of every head, whose rows are widened where the cache stores int8
 */
export function activationBytes(
  config: ModelConfig,
  features: GraphFeatures,
  passes: PassShape[],
  capacity: number,
): number {
  const held = new Map<number, number>();
  for (const pass of passes) {
    const counts = new Map<number, number>();
    for (const moment of momentsOf(config, features, pass, capacity)) {
      const now = new Map<number, number>();
      for (const [bytes, count] of moment) {
        if (bytes === 0) continue;
        const size = bucketOf(bytes);
        now.set(size, (now.get(size) ?? 0) + count);
      }
      most(counts, now);
    }
    most(held, counts);
  }
  return [...held].reduce((sum, [size, count]) => sum + size * count, 0);
}

/** The larger count of every bucket: what one moment does not use waits for the other. */
function most(into: Map<number, number>, from: Map<number, number>): void {
  for (const [size, count] of from) into.set(size, Math.max(into.get(size) ?? 0, count));
}

/** Tensors [bytes, how many] that live at once around a layer's attention and in its feed-forward part, as counted on ONNX Runtime 1.30. */
function momentsOf(
  config: ModelConfig,
  features: GraphFeatures,
  pass: PassShape,
  capacity: number,
): [number, number][][] {
  const { rows, queryRows = 0, logitsRows = 0 } = pass,
    { hidden, heads, kvHeads, headDim, ffn, vocab } = config;
  const layers = cachedLayers(config).length;
  const slot = slotDim(config, features), wide = features.logBias, row = 4 * rows;
  // what attention takes and gives
  const isHalf = features.kvType === "f16", stored = NUMBER_BYTES[computedIn(features.kvType)] * rows;
  const given: [number, number][] = [
    // the next pass's come while these are in use
    [8 * rows, 3],
    [stored * headDim / 2, 3],
    [wide ? row * (heads + 2 * kvHeads) * BIAS_DIMS : 0, 2],
    [features.queryMoments ? row * heads * slot : 0, layers - 1],
    [4 * logitsRows * vocab, 1],
  ];
  // nodes whose outputs nobody takes up run last: until then the queries of all layers stay, and the asked rows of them until the policy has looked
  const asked = givesQueries(features) ? 1 : 0;
  const waiting: [number, number][] = [[asked * stored * heads * slot, layers - 1]];
  const handed: [number, number][] = [[asked * 4 * queryRows * heads * slot, layers - 1]];
  // keys and values of one layer, and one of the two before its biases are beside it; the feed-forward part finds them given back, not yet free
  const isInt8 = features.kvType === "int8", past = isInt8 ? 4 * kvHeads * capacity : 0;
  const widened: [number, number][] = [[past * slot, 2], [wide ? past * headDim : 0, 1]];
  // new rows of all layers stay until they are stored
  const fresh: [number, number][] = [[isInt8 ? row * kvHeads * slot : 0, 2 * (layers - 1)]];
  const attention: [number, number][] = [
    [row * hidden, 2],
    [row * (heads + 2 * kvHeads) * headDim, 1],
    [wide ? row * (heads + 2 * kvHeads) * slot : 0, 2],
    [isHalf ? stored * (heads + 2 * kvHeads) * slot : 0, 1],
    [stored * heads * slot, 3],
    [isHalf ? row * heads * slot : 0, 1],
    [stored * kvHeads * slot, config.qkNorm ? 4 : 3],
    [wide ? row * heads * headDim : 0, 1],
  ];
  const forward: [number, number][] = [[row * hidden, 4], [2 * row * ffn, 1], [row * ffn, 3]];
  return [
    [...given, ...waiting, ...fresh, ...widened, ...attention],
    [...given, ...waiting, ...fresh, ...widened, ...forward],
    [...given, ...handed, ...fresh],
  ];
}
