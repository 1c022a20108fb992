/**
 * What the probe's rows give to every slot, as one number per slot and head, in the chunk's own graph. Shapes as in `attention.ts`; R rows are scored.
 */
import { Graph } from "./onnx.ts";

/**
 * How the probe's rows and the group's heads become one number per slot. `defensive` is the maximum over rows that were first averaged over
 * neighbouring slots and brought back to their mass (DefensiveKV, arXiv 2510.13334).
 */
export type Aggregation = "max" | "mean" | "defensive";

/** As far as there is anything. */
const END = Number.MAX_SAFE_INTEGER;

/** Slots that `defensive` averages. */
export const DEFENSIVE_KERNEL = 5;

/** [1, 1, G * R, T] → [T] */
function aggregated(graph: Graph, p: string, aggregation: Aggregation, weights: string): string {
  const rows = aggregation === "defensive" ? averaged(graph, p, weights) : weights;
  // within each head of the group first: a reduction between two other axes is vectorised, one over the first axes is not (a quarter of the time)
  const op = aggregation === "mean" ? "ReduceMean" : "ReduceMax", name = `${p}.${aggregation}`;
  const heads = graph.node("Reshape", [rows, "shape.group"], [`${name}.heads`]);
  const perHead = graph.node(op, [heads, "axis2"], [`${name}.perhead`], { keepdims: 0 });
  return graph.node(op, [perHead, "axes01"], [name], { keepdims: 0 });
}

/** Rows averaged over neighbouring slots and brought back to mass 1, [1, G * R, 1, T]. */
function averaged(graph: Graph, p: string, weights: string): string {
  const radius = (DEFENSIVE_KERNEL - 1) / 2;
  // as a convolution: four times as quick as AveragePool
  const kernel = new Float32Array(DEFENSIVE_KERNEL).fill(1 / DEFENSIVE_KERNEL);
  const window = graph.constant(`${p}.kernel`, "float32", [1, 1, DEFENSIVE_KERNEL], kernel);
  const flat = graph.node("Squeeze", [weights, graph.int64s(`const.${p}.axes01`, [0, 1])], [`${p}.flat`]);
  const rows = graph.node("Unsqueeze", [flat, graph.int64s(`const.${p}.axis1`, [1])], [`${p}.rows`]);
  const pooled = graph.node("Conv", [rows, window], [`${p}.pooled`], { pads: [radius, radius] });
  // a softmax row has mass 1, and pooling loses some at the ends: of slot i's, radius - i parts in DEFENSIVE_KERNEL
  const missing = Float32Array.from({ length: radius }, (_, i) => (radius - i) / DEFENSIVE_KERNEL);
  const lost = (side: string, from: number, to: number, shares: Float32Array) => {
    const limits = [from, to, 3].map((value, i) => graph.int64s(`const.${p}.${side}.${i}`, [value]));
    const columns = graph.node("Slice", [weights, ...limits], [`${p}.${side}`]);
    const column = graph.constant(`${p}.${side}.shares`, "float32", [radius, 1], shares);
    return graph.node("MatMul", [columns, column], [`${p}.${side}.lost`]);
  };
  const first = lost("first", 0, radius, missing), last = lost("last", -radius, END, missing.toReversed());
  const one = graph.constant(`${p}.one`, "float32", [], Float32Array.of(1));
  const without = graph.node("Sub", [one, first], [`${p}.without`]);
  const mass = graph.node("Sub", [without, last], [`${p}.mass`]);
  const column = graph.node("Reshape", [mass, graph.int64s(`const.${p}.column`, [-1, 1, 1])], [`${p}.column`]);
  const level = graph.node("Div", [pooled, column], [`${p}.level`]);
  return graph.node("Unsqueeze", [level, graph.int64s(`const.${p}.axis0`, [0])], [`${p}.averaged`]);
}

/**
 * Adds to `graph` the outputs `mass` (per aggregation one name per KV head, [T]): the aggregated weights where the input `score` holds, else empty.
 * `weights` puts the probabilities [1, 1, G * R, T] into the graph that it is given, or names those that exist already.
 */
export function massIfScored(
  graph: Graph,
  p: string,
  mass: { aggregation: Aggregation; outputs: string[] }[],
  weights: (graph: Graph) => string[],
): void {
  const yes = new Graph(`${p}scored`), no = new Graph(`${p}unscored`);
  const all = weights(yes);
  for (const { aggregation } of mass) {
    all.forEach((rows, h) => {
      yes.output(aggregated(yes, `${p}scored.${h}`, aggregation, rows), "float32", ["T"]);
      const none = `${p}none.${aggregation}.${h}`;
      no.output(no.constant(none, "float32", [0], new Float32Array(0)), "float32", ["T"]);
    });
  }
  graph.node("If", ["score"], mass.flatMap(({ outputs }) => outputs), { then_branch: yes, else_branch: no });
}
