/** A layer's cache is asked: the two kernels of the attention mass, in order, with what the caller need not think about. */
import type { Aggregation } from "../../core/engine/attention_mass.ts";
import { ALL_SLOTS, attentionMass } from "./attention_mass.ts";
import { wordsOf } from "./attention_rows.ts";
import type { Gpu } from "../gpu.ts";
import type { Recording } from "../recording.ts";
import { softmaxRows } from "./softmax_rows.ts";

export interface AskBuffers {
  /** Rotated, [firstRow + rows, kvHeads * group, width]. */
  queries: GPUBuffer;
  /** Of the layer, [kvHeads, stride, width]. */
  keys: GPUBuffer;
  /** Live slots are start..end, [all heads]. */
  start: GPUBuffer;
  end: GPUBuffer;
  /** At least `softmaxBytes`; one serves all layers. It must not be written before the recording is submitted. */
  softmax: GPUBuffer;
  /** What shall be given, [all heads, stride] each; at least one. */
  mass: { [key in Aggregation]?: GPUBuffer };
}

export interface Ask {
  kvHeads: number;
  /** The layer's first among all heads. */
  firstHead: number;
  /** Query heads of a KV head. */
  group: number;
  headDim: number;
  /** Numbers of a row: the head dimension, or 8 more in a cache whose slots have a bias. */
  width: number;
  /** Slots per head in `keys` and in the masses. */
  stride: number;
  /** Last rows of the pass, which ask. */
  rows: number;
  /** Rows of the pass before them in `queries`. Default 0. */
  firstRow?: number;
  /** Rows that stand behind the live slots for the while, those of the pass included; 0 where the pass was appended. Default 0. */
  behind?: number;
  /** So many last slots of each head are scored. Default all. */
  newest?: number;
  /** What the sum over rows and heads is multiplied with for `mean`. Default 1 / (rows · group): the mean. */
  weight?: number;
}

type Rows = Pick<Ask, "kvHeads" | "group" | "stride" | "rows">;

/** Workgroups that keep any GPU busy. */
const ENOUGH = 256;

/** Few rows take small tiles: the rest of a tile is computed for nothing. */
const rowLanes = ({ rows, group }: Rows): number => rows * group <= 32 ? 4 : 16;

/** Stretches of the slots for the softmax at most, each of at least 512 slots. */
const mostSplits = ({ stride }: Pick<Rows, "stride">): number => Math.max(1, Math.min(8, Math.ceil(stride / 512)));

/** As many of them as keep a GPU busy. */
function splits(ask: Rows): number {
  const groups = ask.kvHeads * Math.ceil(ask.rows * ask.group / (4 * rowLanes(ask)));
  return Math.min(mostSplits(ask), Math.ceil(ENOUGH / groups));
}

/** Bytes of the buffer between the two kernels, for `rows` or fewer. */
export function softmaxBytes(ask: Rows): number {
  return 4 * ask.kvHeads * ask.rows * ask.group * wordsOf(mostSplits(ask));
}

/** Records two dispatches. */
export function askLayer(gpu: Gpu, recording: Recording, { mass, ...buffers }: AskBuffers, ask: Ask): void {
  const { kvHeads, firstHead, group, stride, rows, headDim, width, firstRow = 0, behind = 0 } = ask;
  const asking = {
    kvHeads,
    firstHead,
    stride,
    rows,
    firstRow,
    behind,
    splits: splits(ask),
    scale: 1 / Math.sqrt(headDim),
    WIDTH: width,
    HEAD_DIM: headDim,
    GROUP: group,
    ROW_LANES: rowLanes(ask),
  };
  softmaxRows.record(recording, buffers, asking);
  // a binding wants a buffer, and each its own, also where nothing is written: these are free again at once
  const spare: GPUBuffer[] = [];
  const out = (wanted: GPUBuffer | undefined) => wanted ?? spare[spare.push(gpu.borrow(16)) - 1]!;
  attentionMass.record(
    recording,
    { ...buffers, mean: out(mass.mean), most: out(mass.max), worst: out(mass.defensive) },
    {
      ...asking,
      newest: ask.newest ?? ALL_SLOTS,
      weight: ask.weight ?? 1 / (rows * group),
      MEAN: Number(mass.mean !== undefined),
      MOST: Number(mass.max !== undefined),
      DEFENSIVE: Number(mass.defensive !== undefined),
    },
  );
  for (const buffer of spare.reverse()) gpu.release(buffer);
}
