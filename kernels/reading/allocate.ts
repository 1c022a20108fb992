/** GPU forms of `core/allocate/`: how many slots does each head get? */
import { safeguard } from "../../core/allocate/across.ts";
import { pyramidQuotas } from "../../core/allocate/pyramid.ts";
import { RECENT, SINKS } from "../../core/policy.ts";
import { quotaScratch, recordQuotas } from "../allocate/quotas.ts";
import type { Compaction } from "./compaction.ts";

/** @param making slots of every head that compensation will make of evicted ones @returns quotas u32 [heads] */
type Quotas = (compaction: Compaction, scores: GPUBuffer, making: number) => GPUBuffer;

/** Heads compete: those of a layer, or all. */
const competing =
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
    return quota;
  };

/** Share of the mean budget that every competing head has for sure. */
const SAFEGUARD = 0.2;

/** By the variant's name. */
export const allocateForms: Record<string, Quotas> = {
  uniform: ({ memory: { gpu, slots }, shape: { heads }, moment: { budget } }, _, making) => {
    const quota = slots.perHead("quota");
    gpu.write(quota, new Uint32Array(heads).fill(budget - making));
    return quota;
  },
  pyramid: ({ memory: { gpu, slots }, shape, moment: { budget, mostSlots, tokensRead, live } }, _, making) => {
    const quota = slots.perHead("quota"), least = live.map((slots) => Math.min(slots, SINKS + RECENT));
    const given = { budget: budget - making, mostSlots: mostSlots - making, tokensRead };
    gpu.write(quota, Uint32Array.from(pyramidQuotas(live, least, shape, given)));
    return quota;
  },
  ada: competing(false, SAFEGUARD),
  layer: competing(false, 0),
  global: competing(true, SAFEGUARD),
};
