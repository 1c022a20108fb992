/** Mean over probe rows and heads of a group, without pooling: each slot stands for itself. For probes of many different rows (`role`). */
import type { Aggregate } from "../policy.ts";
import { mean } from "./mean.ts";

export const meanUnpooled = (): Aggregate => ({ ...mean(1), name: "mean-unpooled" });
