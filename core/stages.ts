/** Every variant of every stage, by the name that users write. The first of a stage is its default. */
import { max } from "./aggregate/max.ts";
import { mean } from "./aggregate/mean.ts";
import { none as unpooled } from "./aggregate/none.ts";
import { uniform } from "./allocate/uniform.ts";
import { drop } from "./compensate/drop.ts";
import { flow } from "./compensate/flow.ts";
import { flowAdd } from "./compensate/flow_add.ts";
import { flowConvex } from "./compensate/flow_convex.ts";
import { h2o } from "./decode/h2o.ts";
import { keep } from "./decode/keep.ts";
import { moment } from "./decode/moment.ts";
import { recency } from "./decode/recency.ts";
import { rkv } from "./decode/rkv.ts";
import { tova } from "./decode/tova.ts";
import { none } from "./probe/none.ts";
import { question } from "./probe/question.ts";
import { window } from "./probe/window.ts";
import { spread } from "./select/spread.ts";
import { topk } from "./select/topk.ts";

export const stages = {
  probe: { question, window, none },
  aggregate: { max, mean, none: unpooled },
  allocate: { uniform },
  select: { topk, spread },
  compensate: { drop, flow, "flow-add": flowAdd, "flow-convex": flowConvex },
  decode: { keep, recency, h2o, tova, rkv, moment },
};

export type Stage = keyof typeof stages;
