/** Seconds that launches and forward passes take at best, by what a GPU's maker says of it. */
import type { ModelConfig } from "../../core/engine/weights.ts";
import type { Launch } from "../../kernels/reading/dry_gpu.ts";
import { type Chip, DISPATCH, ROUND_TRIP } from "./shapes.ts";
import { type Slots, trafficOf } from "./traffic.ts";

/** Workgroups of 256 threads that a core holds at once (1,536 threads). */
const RESIDENT = 6;

/**
 * A dispatch, and then whatever lasts longest: memory, arithmetic, or waiting for memory again and again. A launch of fewer workgroups than the GPU has
 * cores uses as many cores as it has workgroups.
 */
export function launchSeconds(launch: Launch, slots: Slots, chip: Chip): number {
  const { bytes, operations, rounds } = trafficOf(launch, slots), used = Math.min(1, launch.workgroups / chip.cores);
  const waves = Math.ceil(launch.workgroups / (chip.cores * RESIDENT));
  return DISPATCH + Math.max(
    bytes / (chip.bandwidth * used),
    operations / (chip.arithmetic * used),
    rounds * waves * ROUND_TRIP,
  );
}

/** Bytes of a weight in blocks of 32 with 4 bits each, a scale in f32 and a zero point of 4 bits. */
const WEIGHT = (16 + 4 + 0.5) / 32;

export interface Forward {
  dispatches: number;
  bytes: number;
  operations: number;
}

/**
 * A pass of `rows` behind `past` slots: every weight is read once, every key and value once (attention reads them from caches again), rows in and out of
 * each of the dispatches left out; dispatches per layer as `core/engine/graph_webgpu.ts` counted them.
 * @param logits rows that go through the output matrix
 */
export function forward(config: ModelConfig, rows: number, past: number, logits: number, wide: boolean): Forward {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocab } = config;
  const perLayer = 2 * hidden * (heads + kvHeads) * headDim + 3 * hidden * ffn;
  // a row sees the slots before its pass and, on the mean, half of the pass
  const seen = past + (rows + 1) / 2;
  return {
    dispatches: layers * ((rows > 1 ? 12 : 15) + (wide ? 2 : 0)),
    bytes: WEIGHT * (layers * perLayer + (logits > 0 ? vocab * hidden : 0)) +
      8 * layers * kvHeads * headDim * (past + rows),
    operations: 2 * rows * layers * perLayer + 4 * rows * seen * layers * heads * headDim + 2 * logits * vocab * hidden,
  };
}

export function forwardSeconds({ dispatches, bytes, operations }: Forward, chip: Chip): number {
  return dispatches * DISPATCH + Math.max(bytes / chip.bandwidth, operations / chip.arithmetic);
}
