/**
 * Attention with a memory: I ← α I + ā, where ā is a written token's attention to each written slot, over the whole cache and on the mean over all heads
 * of a layer, which evict together. The lowest go; what was read stays (Moment-KV, arXiv 2605.29873). A new token starts at 0 and gets its own
 * attention to itself. The paper evicts after every token and does not give α; we evict in blocks (`evict.ts`), with the decay still one step per token.
 * α must be small beside the budget: at 128 slots 0.9 loses least on prose and 0.99 most of all policies, because what was written last has summed up
 * too little to stay (`bench/decode.ts`; `moment-recent` allows for a long memory).
 */
import type { DecodePolicy } from "../policy.ts";
import { accumulateByLayer, scoresByLayer } from "./observe.ts";

export const DECAY = 0.9;

/** @param decay α: 0 is the last token's attention, 1 the sum over all */
export const moment = (decay = DECAY): DecodePolicy => ({
  name: "moment",
  evicts: true,
  attributes: ["momentum"],
  observes: Infinity,
  decay,
  observe: (context, mass) => accumulateByLayer(context, mass, decay),
  score: (context) => scoresByLayer(context),
});
