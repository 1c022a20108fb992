/** Those written tokens stay that the last one attends to, on the mean over all heads of a layer (TOVA, arXiv 2401.06104). */
import type { DecodePolicy } from "../policy.ts";
import { accumulateByLayer, scoresByLayer } from "./observe.ts";

export const tova = (): DecodePolicy => ({
  name: "tova",
  evicts: true,
  attributes: ["momentum"],
  observes: 1,
  observe: (context, mass) => accumulateByLayer(context, mass, 0),
  score: (context) => scoresByLayer(context),
});
