/** GPU forms of `core/compensate/`: what becomes of what the evicted slots knew? */
import { FLOW_DEFAULTS } from "../../core/compensate/flow_weights.ts";
import { recordFlow } from "../compensate/attention_flow.ts";
import { recordCentroids } from "../compensate/centroid_slots.ts";
import { recordCam, recordD2o, recordFlowAdd, recordMerge } from "../compensate/merging.ts";
import { splitSlots } from "../compensate/split_slots.ts";
import { tokenMass } from "../compensate/token_mass.ts";
import { COSINE } from "../compensate/top_similar.ts";
import { mark } from "../select/mark.ts";
import type { Compaction, GpuEvidence } from "./compaction.ts";
import { keysOf, writtenLayers } from "./rows.ts";

/** Slots that stay: ascending [heads, stride], and how many [heads]. */
export interface Kept {
  kept: GPUBuffer;
  count: GPUBuffer;
}

/** @param making slots of every head that it makes of evicted ones, at the first compaction; @returns what stays, which may be another list */
type Compensate = (compaction: Compaction, evidence: GpuEvidence, kept: Kept, making: number) => Kept;

/** Everything that the recordings take; arrays are made at their first use. */
export function buffers({ memory, shape, recording }: Compaction, { kept, count }: Kept, m: number) {
  const { heads, kvHeads, stride } = shape, { slots } = memory, { start, end, source } = slots;
  const perSlot = (name: string) => slots.perSlot(`compensate.${name}`);
  const perHead = (name: string) => slots.perHead(`compensate.${name}`);
  const scratch = (name: string, numbers: number) => slots.array(`compensate.${name}`, 4 * numbers);
  const stays = perSlot("stays"), shielded = slots.perSlot("shielded");
  mark.record(recording, { shielded, start, end, kept, first: start, count, marked: stays }, {
    heads,
    stride,
    runs: 1,
  });
  return {
    start,
    end,
    source,
    stays,
    shielded,
    evicted: perSlot("evicted"),
    evictedCount: perHead("evicted.count"),
    receivers: perSlot("receivers"),
    receiverCount: perHead("receivers.count"),
    norms: scratch("norms", kvHeads * stride),
    load: scratch("load", kvHeads * stride),
    likeness: scratch(`likeness.${m}`, kvHeads * stride * m),
    index: scratch(`index.${m}`, kvHeads * stride * m),
    chains: scratch(`chains.${m}`, kvHeads * stride * (1 + m)),
    layers: writtenLayers(recording, memory),
  };
}

export const numbers = ({ shape: { kvHeads, stride, headDim, width } }: Compaction) => ({
  kvHeads,
  stride,
  D: headDim,
  WIDTH: width,
});

/** `massOf` in `core/compensate/heads.ts`. */
function massOf(compaction: Compaction, evidence: GpuEvidence): GPUBuffer {
  const seen = evidence.mean ?? evidence.defensive ?? evidence.max;
  if (seen) return seen;
  const { memory, memory: { slots }, shape: { layers, headDim, width }, recording } = compaction,
    { start, end } = slots;
  const mass = slots.perSlot("compensate.mass");
  for (let layer = 0; layer < layers; layer++) {
    tokenMass.record(recording, { keys: keysOf(recording, memory, layer), start, end, mass }, {
      ...compaction.layer(layer),
      D: headDim,
      WIDTH: width,
      WIDE: Number(width > headDim),
    });
  }
  return mass;
}

const flowNumbers = (compaction: Compaction) => ({ ...numbers(compaction), ...FLOW_DEFAULTS, likeness: COSINE });

/** @param gamma of `flow-convex` */
const flow = (gamma?: number): Compensate => (compaction, evidence, kept) => {
  const { memory: { slots }, shape: { heads }, recording } = compaction;
  recordFlow(recording, {
    ...buffers(compaction, kept, FLOW_DEFAULTS.m),
    mass: massOf(compaction, evidence),
    histogram: slots.array("flow.histogram", 4 * 256),
    headHistogram: slots.array("flow.head_histogram", 4 * 256 * heads),
    chosen: slots.array("flow.chosen", 8),
    flowing: slots.perSlot("flow.flowing"),
    flowingCount: slots.perHead("flow.count"),
  }, { ...flowNumbers(compaction), ...(gamma === undefined ? {} : { gamma, share: 1 }) });
  return kept;
};

/** By the variant's name; their numbers are the CPU variants' defaults. */
export const compensateForms: Record<string, Compensate> = {
  drop: (_compaction, _evidence, kept) => kept,
  flow: flow(),
  "flow-convex": flow(0.5),
  "flow-add": (compaction, evidence, kept) => {
    recordFlowAdd(compaction.recording, {
      ...buffers(compaction, kept, FLOW_DEFAULTS.m),
      mass: massOf(compaction, evidence),
      longest: compaction.memory.slots.perHead("compensate.longest"),
    }, { ...flowNumbers(compaction), gate: 0.1, bounded: true });
    return kept;
  },
  merge: (compaction, evidence, kept) => {
    const mass = massOf(compaction, evidence);
    recordMerge(compaction.recording, { ...buffers(compaction, kept, 1), mass }, {
      ...numbers(compaction),
      threshold: 0,
    });
    return kept;
  },
  d2o: (compaction, _, kept) => {
    const threshold = compaction.memory.slots.perHead("attribute.threshold");
    recordD2o(compaction.recording, { ...buffers(compaction, kept, 1), threshold }, {
      ...numbers(compaction),
      momentum: 0.5,
    });
    return kept;
  },
  cam: (compaction, evidence, kept) => {
    const longest = compaction.memory.slots.perHead("compensate.longest"), mass = massOf(compaction, evidence);
    recordCam(compaction.recording, { ...buffers(compaction, kept, 1), mass, longest }, {
      ...numbers(compaction),
      m: 32,
      bounded: true,
    });
    return kept;
  },
  "latent-memory": (compaction, _, kept) => {
    const { memory: { slots, latent }, recording, shape: { heads, stride } } = compaction;
    const of = buffers(compaction, kept, 1);
    splitSlots.record(recording, { ...of, mark: of.shielded }, { heads, stride, receives: 0 });
    latent!.record(compaction, of, slots.turns!);
    return kept;
  },
  centroids: (compaction, evidence, kept, making) => {
    const { memory: { slots }, shape: { heads, stride }, recording, moment: { compactions } } = compaction;
    const of = buffers(compaction, kept, 1);
    recordCentroids(recording, {
      ...of,
      count: slots.perSlot("attribute.count"),
      mass: massOf(compaction, evidence),
      found: slots.array("centroids.found", 8 * heads * stride),
    }, { ...numbers(compaction), isFirst: compactions === 0, slots: making, weigh: "mass" });
    // what stays has changed: all that is marked now
    splitSlots.record(recording, { ...of, mark: of.stays }, { heads, stride, receives: 1 });
    return { kept: of.receivers, count: of.receiverCount };
  },
};
