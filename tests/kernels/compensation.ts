/** Compensating stages, each in one recording, against the stages of the CPU path on the same invented heads. */
import { MEMORY_SOURCE } from "../../core/cache.ts";
import { cam } from "../../core/compensate/cam.ts";
import { centroids } from "../../core/compensate/centroids.ts";
import { d2o } from "../../core/compensate/d2o.ts";
import { flow } from "../../core/compensate/flow.ts";
import { flowAdd } from "../../core/compensate/flow_add.ts";
import { flowConvex } from "../../core/compensate/flow_convex.ts";
import { merge } from "../../core/compensate/merge.ts";
import type { Compensate, CompensateContext } from "../../core/policy.ts";
import { recordFlow } from "../../kernels/compensate/attention_flow.ts";
import { recordCentroids } from "../../kernels/compensate/centroid_slots.ts";
import type { Gpu, Numbers } from "../../kernels/gpu.ts";
import { recordCam, recordD2o, recordFlowAdd, recordMerge } from "../../kernels/compensate/merging.ts";
import type { Recording } from "../../kernels/recording.ts";
import { COSINE, PRODUCT } from "../../kernels/compensate/top_similar.ts";
import { inventedContext } from "../compensate/head.ts";
import { plainEngine } from "./plain_engine.ts";

const kvHeads = 3, layers = 2, heads = 6, live = 90, stride = 101, D = 32, WIDTH = 40;
/** Slots before a head's first live one. */
const startOf = (head: number) => head % 4;
const ROUNDING = 2e-5;

/** A cache on the GPU as a context has it on the CPU. */
class Rig {
  private readonly buffers = new Map<string, GPUBuffer>();

  constructor(private readonly gpu: Gpu, private readonly context: CompensateContext) {
    const { cache, protectedSlots, evidence } = context, slots = heads * stride;
    const perSlot = (value: (head: number, slot: number) => number) => {
      const all = new Float32Array(slots).fill(1e9); // what is not live must not be looked at
      for (let head = 0; head < heads; head++) {
        for (let slot = 0; slot < live; slot++) all[head * stride + startOf(head) + slot] = value(head, slot);
      }
      return all;
    };
    this.put("start", Uint32Array.from({ length: heads }, (_, head) => startOf(head)));
    this.put("end", Uint32Array.from({ length: heads }, (_, head) => startOf(head) + live));
    this.put("shielded", Uint32Array.from(perSlot((head, slot) => protectedSlots[head]![slot]!)));
    this.put("mass", perSlot((head, slot) => evidence.mean![head]![slot]!));
    this.put("source", Int32Array.from(perSlot((head, slot) => cache.sources(head)[slot]!)));
    this.put("count", perSlot((head, slot) => cache.has("count") ? cache.attribute("count", head)[slot]! : 0));
    for (let layer = 0; layer < layers; layer++) {
      for (const [name, rows] of [["keys", cache.keyRows], ["values", cache.valueRows]] as const) {
        const pool = new Float32Array(kvHeads * stride * WIDTH).fill(1e9);
        for (let h = 0; h < kvHeads; h++) {
          const head = layer * kvHeads + h, own = rows.call(cache, head);
          for (let slot = 0; slot < live; slot++) {
            const at = (h * stride + startOf(head) + slot) * WIDTH;
            pool.set(own.subarray(slot * D, (slot + 1) * D), at);
            pool[at + D] = name === "keys" && cache.has("logBias") ? cache.attribute("logBias", head)[slot]! : 0;
          }
        }
        this.put(`${name}.${layer}`, pool);
      }
    }
    for (const [name, size] of Object.entries(SCRATCH)) this.put(name, new Uint32Array(size).fill(0x7fc00001));
    this.put("histogram", new Uint32Array(256));
    this.put("threshold", new Float32Array(heads));
  }

  private put(name: string, data: Numbers): void {
    const buffer = this.gpu.borrow(data.byteLength);
    this.gpu.write(buffer, data);
    this.buffers.set(name, buffer);
  }

  /** Runs a stage on the GPU with what the context keeps. */
  run(record: (recording: Recording, of: any) => void): void {
    const stays = new Uint32Array(heads * stride).fill(9);
    for (let head = 0; head < heads; head++) {
      const first = head * stride + startOf(head);
      stays.fill(0, first, first + live);
      for (const slot of this.context.keep[head]!) stays[first + slot] = 1;
    }
    this.put("stays", stays);
    const rows = Array.from({ length: layers }, (_, layer) => ({
      keys: this.buffers.get(`keys.${layer}`)!,
      values: this.buffers.get(`values.${layer}`)!,
    }));
    const recording = this.gpu.record();
    record(recording, { ...Object.fromEntries(this.buffers), layers: rows });
    recording.submit();
  }

  /** What differs from the CPU's cache and its choice. */
  async differences(keep: Int32Array[]): Promise<string[]> {
    const { cache } = this.context, wrong: string[] = [];
    const stays = await this.gpu.read(this.buffers.get("stays")!, new Uint32Array(heads * stride));
    const source = await this.gpu.read(this.buffers.get("source")!, new Int32Array(heads * stride));
    const count = await this.gpu.read(this.buffers.get("count")!, new Float32Array(heads * stride));
    const pool = (name: string) => this.gpu.read(this.buffers.get(name)!, new Float32Array(kvHeads * stride * WIDTH));
    const rows = {
      keys: [await pool("keys.0"), await pool("keys.1")],
      values: [await pool("values.0"), await pool("values.1")],
    };
    for (let head = 0; head < heads; head++) {
      const first = head * stride + startOf(head), kept = new Set(keep[head]!);
      for (let slot = 0; slot < live; slot++) {
        const say = (what: string, met: number, should: number, allowed = 0) => {
          if (!(Math.abs(met - should) <= allowed)) {
            wrong.push(`head ${head}, slot ${slot}: ${what} ${met}, not ${should}`);
          }
        };
        say("stays", stays[first + slot]!, kept.has(slot) ? 1 : 0);
        if (!kept.has(slot)) continue;
        if (cache.has("count")) {
          say("source", source[first + slot]!, cache.sources(head)[slot]!);
          say("count", count[first + slot]!, cache.attribute("count", head)[slot]!);
        }
        const layer = Math.floor(head / kvHeads), at = (head % kvHeads * stride + startOf(head) + slot) * WIDTH;
        for (let d = 0; d < D; d++) {
          say(`key ${d}`, rows.keys[layer]![at + d]!, cache.keyRows(head)[slot * D + d]!, ROUNDING);
          say(`value ${d}`, rows.values[layer]![at + d]!, cache.valueRows(head)[slot * D + d]!, ROUNDING);
        }
        if (cache.has("logBias")) {
          say("bias", rows.keys[layer]![at + D]!, cache.attribute("logBias", head)[slot]!, ROUNDING);
        }
      }
    }
    return wrong;
  }

  free(): void {
    for (const buffer of this.buffers.values()) this.gpu.release(buffer);
  }
}

const SLOTS = heads * stride, OF_LAYER = kvHeads * stride;
/** Words of what stages need for a while. */
const SCRATCH = {
  evicted: SLOTS,
  evictedCount: heads,
  receivers: SLOTS,
  receiverCount: heads,
  flowing: SLOTS,
  flowingCount: heads,
  headHistogram: heads * 256,
  chosen: 2,
  found: 2 * SLOTS,
  longest: kvHeads,
  norms: OF_LAYER,
  load: OF_LAYER,
  likeness: 4 * OF_LAYER,
  index: 4 * OF_LAYER,
  chains: 5 * OF_LAYER,
};

const cache = { kvHeads, stride, D, WIDTH };
const flowing = { ...cache, m: 4, likeness: COSINE, temperature: 0.1, share: 0.25 };
const STAGES: [name: string, stage: Compensate, record: (recording: Recording, of: any, round: number) => void][] = [
  ["flow", flow(), (recording, of) => recordFlow(recording, of, flowing)],
  [
    "flow of everything, by product",
    flow({ share: 1, likeness: "product", temperature: 1, m: 3 }),
    (recording, of) => recordFlow(recording, of, { ...flowing, share: 1, likeness: PRODUCT, temperature: 1, m: 3 }),
  ],
  ["flow-convex", flowConvex(), (recording, of) => recordFlow(recording, of, { ...flowing, share: 1, gamma: 0.5 })],
  ["merge", merge(), (recording, of) => recordMerge(recording, of, { ...cache, threshold: 0 })],
  ["d2o", d2o(), (recording, of) => recordD2o(recording, of, { ...cache, momentum: 0.5 })],
  ["cam", cam({ m: 5 }), (recording, of) => recordCam(recording, of, { ...cache, m: 5, bounded: true })],
  [
    "flow-add",
    flowAdd({ gate: 2 }),
    (recording, of) => recordFlowAdd(recording, of, { ...flowing, gate: 2, bounded: true }),
  ],
  ...(["mass", "count"] as const).map((weigh): typeof STAGES[number] => [
    `centroids by ${weigh}`,
    centroids({ weigh, share: 1 / 6 }),
    (recording, of, round) => recordCentroids(recording, of, { ...cache, isFirst: round === 1, slots: 5, weigh }),
  ]),
];

/** @returns what is wrong */
export async function checkCompensation(gpu: Gpu): Promise<string[]> {
  const failures: string[] = [];
  for (const [name, stage, record] of STAGES) {
    const context = inventedContext(plainEngine, stage, { heads, live, headDim: D });
    const rig = new Rig(gpu, context);
    for (const round of [1, 2]) {
      rig.run((recording, of) => record(recording, of, round));
      const left = await stage.apply(context);
      const wrong = await rig.differences(left);
      if (wrong.length) failures.push(`${name}, round ${round}: ${wrong.length} differ; ${wrong[0]}`);
      // of what stayed, every fourth slot goes now; what went before is taken for a slot that stays
      context.keep = left.map((slots, head) => {
        const before = new Set(slots), guarded = context.protectedSlots[head]!, source = context.cache.sources(head);
        const leaves = (slot: number) => slot % 4 === 1 && !guarded[slot] && source[slot] !== MEMORY_SOURCE;
        return Int32Array.from({ length: live }, (_, slot) => slot).filter((slot) =>
          !before.has(slot) || !leaves(slot)
        );
      });
    }
    rig.free();
  }
  return failures;
}
