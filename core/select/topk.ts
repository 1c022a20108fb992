/** The highest scores of a head stay; of equal scores the earlier slot. */
import type { Select } from "../policy.ts";
import { highest } from "./highest.ts";

export const topk = (): Select => ({
  name: "topk",
  keep: (scores, { quota, protectedSlots }) => highest(scores, quota, protectedSlots),
});
