/** GPU forms of `core/allocate/`: how many slots does each head get? */
import { safeguard } from "../../core/allocate/across.ts";
import { pyramidQuotas } from "../../core/allocate/pyramid.ts";
import { RECENT, SINKS } from "../../core/policy.ts";
import { quotaScratch, recordQuotas } from "../allocate/quotas.ts";
import type { Compaction } from "./compaction.ts";

export interface GpuQuotas {
  /** u32 [heads]. */
  quota: GPUBuffer;
  /** The same numbers where scores have no say in them: null where only the GPU knows. */
  known: ArrayLike<number> | null;
}

/** @param making slots of every head that compensation will make of evicted ones */
type Quotas = (compaction: Compaction, scores: GPUBuffer, making: number) => GpuQuotas;

/** Heads compete: those of a layer, or all. @param share of the mean budget that every head has for sure */
export const competing =
  (everywhere: boolean, share: number): Quotas =>
  ({ memory: { slots }, shape: { heads, kvHeads, stride }, moment, recording }, scores, making) => {
    const quota = slots.perHead("quota"), scratch = quotaScratch(heads), budget = moment.budget - making;
    recordQuotas(recording, {
      scores,
      shielded: slots.perSlot("shielded"),
      guarded: slots.perHead("guarded"),
      start: slots.start,
      end: slots.end,
      atLeast: slots.array("quota.at_least", scratch.atLeast),
      prefix: slots.array("quota.prefix", scratch.prefix),
      quota,
    }, {
      heads,
      together: everywhere ? heads : kvHeads,
      stride,
      budget,
      mostSlots: moment.mostSlots - making,
      floor: safeguard(budget, share),
    });
    return { quota, known: null };
  };

/** Quotas that the CPU computes. */
const written = ({ memory: { gpu, slots } }: Compaction, quotas: Uint32Array<ArrayBuffer>): GpuQuotas => {
  const quota = slots.perHead("quota");
  gpu.write(quota, quotas);
  return { quota, known: quotas };
};

/** Share of the mean budget that every competing head has for sure. */
const SAFEGUARD = 0.2;

/** By the variant's name. */
export const allocateForms: Record<string, Quotas> = {
  uniform: (compaction, _, making) =>
    written(compaction, new Uint32Array(compaction.shape.heads).fill(compaction.moment.budget - making)),
  pyramid: (compaction, _, making) => {
    const { shape, moment: { budget, mostSlots, tokensRead, live, compactions } } = compaction;
    const memory = compactions > 0 ? compaction.moment.memorySlots : 0;
    const least = live.map((slots) => Math.min(slots, SINKS + RECENT + memory));
    const given = { budget: budget - making, mostSlots: mostSlots - making, tokensRead };
    return written(compaction, Uint32Array.from(pyramidQuotas(live, least, shape, given)));
  },
  ada: competing(false, SAFEGUARD),
  layer: competing(false, 0),
  global: competing(true, SAFEGUARD),
};
