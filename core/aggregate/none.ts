/** Scores stay as they are: for probes that already give one number per slot; of an attention probe, the maximum over its rows and a group's heads. */
import type { Aggregate } from "../policy.ts";

export const none = (): Aggregate => ({
  name: "none",
  rows: ["max"],
  score: (evidence) => evidence.score ?? evidence.max!,
});
