/** What follows every choice on a GPU: slots that stay move together, with all that is known of them, and hold their new places. */
import { BIASES, computedIn, type GpuKvCache, HIDDEN, NUMBER_BYTES } from "../../core/gpu_cache.ts";
import type { Positions } from "../../core/record.ts";
import { compactPositions } from "../compact/compact_positions.ts";
import { gather } from "../compact/gather.ts";
import { gatherRotate } from "../compact/gather_rotate.ts";
import { hide } from "../compact/hide.ts";
import { settle } from "../compact/settle.ts";
import type { Recording } from "../recording.ts";
import type { Kept } from "./compensate.ts";
import type { GpuMemory } from "./compaction.ts";
import { hidingColumn, keysOf, storeKeys } from "./rows.ts";

export interface Moving {
  positions: Positions;
  /** Slots at the start that stand at 0 and on under compact positions. */
  sinks: number;
  /** `rotationTable` of every layer; not looked at under original positions. */
  turns: (layer: number) => GPUBuffer;
  /** What a policy remembers of every slot, [heads, stride, width] each. */
  attributes: readonly SlotArray[];
}

/** What is remembered of every slot: `width` numbers each. */
export interface SlotArray {
  array: GPUBuffer;
  width: number;
}

/** @returns what `settle` sums up: live slots of all heads before and after, the longest head's, then the end of every layer; u32 [3 + layers] */
export function recordMove(
  recording: Recording,
  { cache, slots }: Pick<GpuMemory, "cache" | "slots">,
  { kept, count }: Kept,
  { positions, sinks, turns, attributes }: Moving,
): GPUBuffer {
  const { layers, kvHeads, headDim } = cache.shape, { heads, slotDim, capacity: stride } = cache;
  // a word holds two numbers in half precision: a slot's bias stands in one word with what hides it, which is written anew
  const type = computedIn(cache.type), words = (numbers: number) => numbers * NUMBER_BYTES[type] / 4;
  const WORDS = words(slotDim),
    KEY = words(headDim),
    isWide = slotDim > headDim,
    { start, end, source, position } = slots;
  for (let layer = 0; layer < layers; layer++) {
    const of = { heads: kvHeads, firstHead: layer * kvHeads, kvHeads, stride, WORDS };
    const moves = (pool: GPUBuffer, WORDS: number, MOVED = WORDS) =>
      gather.record(recording, { kept, count, pool }, { ...of, WORDS, MOVED });
    if (positions === "compact") {
      const keys = keysOf(recording, { cache, slots }, layer);
      const rotated = { ...of, allHeads: heads, sinks, KEY, HALF: Number(type === "f16") };
      gatherRotate.record(recording, { kept, count, position, turns: turns(layer), pool: keys }, rotated);
      storeKeys(recording, { cache, slots }, layer, keys, true);
    } else if (cache.int8) {
      for (const [pool, words] of int8Keys(cache, layer)) moves(pool, words);
    } else moves(cache.keys[layer]!, WORDS, KEY + Number(isWide));
    if (isWide) {
      const { pool, ...column } = hidingColumn(cache, layer);
      hide.record(recording, { count, pool }, { ...of, hidden: HIDDEN[type], ...column });
    }
    if (cache.int8) {
      moves(cache.values[layer]!, headDim / 4);
      moves(cache.int8.valueScales[layer]!, 1);
    } else moves(cache.values[layer]!, WORDS, KEY);
  }
  const all = { heads, firstHead: 0, kvHeads, stride, WORDS: 1, MOVED: 1 };
  gather.record(recording, { kept, count, pool: source }, all);
  for (const { array: pool, width } of attributes) {
    gather.record(recording, { kept, count, pool }, { ...all, WORDS: width, MOVED: width });
  }
  if (positions === "compact") {
    compactPositions.record(recording, { count, position }, { heads, kvHeads, stride, sinks });
  } else gather.record(recording, { kept, count, pool: position }, all);
  const summary = slots.array("summary", 4 * (3 + layers));
  settle.record(recording, { count, start, end, summary }, { heads, kvHeads });
  return summary;
}

/** What a cache in int8 has of a layer's keys, and how many words of every slot. */
function int8Keys(
  { keys, int8, wide, shape: { headDim } }: GpuKvCache,
  layer: number,
): [pool: GPUBuffer, words: number][] {
  const { keyScales, biases } = int8!;
  return [
    [keys[layer]!, headDim / 4],
    [keyScales[layer]!, 1],
    ...wide ? [[biases[layer]!, BIASES] as [GPUBuffer, number]] : [],
  ];
}
