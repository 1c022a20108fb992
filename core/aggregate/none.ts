/** Scores stay as they are: for probes that already give one number per slot. */
import type { Aggregate } from "../policy.ts";

export const none = (): Aggregate => ({ name: "none", rows: "max", pool: (scores) => scores });
