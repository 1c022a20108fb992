/**
 * Moment-KV with a recent window: a share of the budget goes to the newest written tokens, whatever they got so far, the rest by importance. With a long
 * memory `moment` evicts what was written last, because a sum over few tokens is small; H2O keeps a half for the same reason. Own combination.
 */
import type { DecodePolicy } from "../policy.ts";
import { moment } from "./moment.ts";
import { scoresByLayer } from "./observe.ts";

export const LONG_DECAY = 0.99;
export const RECENT_SHARE = 0.5;

/**
 * @param decay α of `moment`
 * @param share of the budget for the newest tokens, 0 to 1
 */
export const momentRecent = (decay = LONG_DECAY, share = RECENT_SHARE): DecodePolicy => ({
  ...moment(decay),
  name: "moment-recent",
  score: (context) => scoresByLayer(context, Math.floor(context.budget * share)),
});
