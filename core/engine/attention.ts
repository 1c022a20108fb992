/**
 * Attention over a fixed-budget cache, as graph pieces. Every KV head owns its own run of slots and enters the graph as its own past input
 * [1, 1, P_h, D], so heads may keep different numbers of slots and nothing is padded or masked.
 *
 * - `fused`: one GroupQueryAttention node per KV head (do_rotary = 0: rows arrive rotated). Best for chunks.
 * - `decomposed`: plain products over [cache | new rows]. Best for few rows, as GroupQueryAttention copies the whole past first.
 * - `probabilities`, `massIfScored`: what the last R rows of a pass give to every slot, aggregated over these rows and the heads of the group.
 *
 * A slot may have a bias that is added to its logits. Few rows add it; for chunks it rides in extra dimensions of the head, where queries carry a
 * constant and keys the bias, because a bias of chunk × slots would be a gigabyte over all layers.
 *
 * Shapes: S rows of a pass, G = heads / kvHeads, D head size, P slots of the head before the pass, T = P + S.
 */
import { Graph } from "./onnx.ts";

const MS = "com.microsoft";

/** Names of the wires of one layer that attention reads. */
export interface LayerWires {
  /** [1, S, heads * D], rotated. */
  query: string;
  /** Per KV head: the group's queries [1, S, G * D], rotated. */
  groupQueries: string[];
  /** Per KV head: new rows [1, S, D], keys rotated. */
  newKeys: string[];
  newValues: string[];
  /** Per KV head: cached rows [1, 1, P_h, D]. */
  pastKeys: string[];
  pastValues: string[];
  /** Per KV head: what is added to the slots' logits [1, 1, 1, P_h]; null for nothing. */
  pastBias: string[] | null;
}

export interface AttentionShape {
  kvHeads: number;
  group: number;
  headDim: number;
}

/** Scalars and masks that all layers share. */
export interface SharedWires {
  /** int32 [1]: S. */
  rowCount: string;
  /** int64 [1]: S. */
  rowCount64: string;
  /** int64 [1]: first row whose queries are used, S - R. */
  firstRow: string;
  /** float32 [G * R, S]: 0 where used row r (row g * R + r) sees new row s, a large negative number elsewhere. */
  mask: string;
  /** int64 [4]: 1, kvHeads, -1 (G * rows), D. */
  headsShape: string;
  /** int64 [4]: -1 (rows), kvHeads, G, D. */
  querySplitShape: string;
  /** int64 [4]: kvHeads, G, -1, D. */
  outputSplitShape: string;
  /** int64 [3]: 1, -1, heads * D. */
  outputShape: string;
}

/** Returns the attention output [1, S, heads * D]. */
export function fused(
  graph: Graph,
  p: string,
  plain: LayerWires,
  shared: SharedWires,
  plainShape: AttentionShape,
): string {
  const { pastBias } = plain, width = pastBias ? plainShape.headDim + BIAS_DIMS : plainShape.headDim;
  const wires = pastBias ? widened(graph, p, plain, pastBias, plainShape) : plain, shape = plainShape;
  const outputs = wires.groupQueries.map((query, h) => {
    const past = graph.node("Shape", [wires.pastKeys[h]!], [`${p}gqa.past64.${h}`], { start: 2, end: 3 });
    const past32 = graph.node("Cast", [past], [`${p}gqa.past.${h}`], { to: 6 });
    const total = graph.node("Add", [past32, shared.rowCount], [`${p}gqa.total.${h}`]);
    const last = graph.node("Sub", [total, "one32"], [`${p}gqa.last.${h}`]);
    return graph.node(
      "GroupQueryAttention",
      [query, wires.newKeys[h]!, wires.newValues[h]!, wires.pastKeys[h]!, wires.pastValues[h]!, last, total],
      [`${p}gqa.out.${h}`, `${p}gqa.k.${h}`, `${p}gqa.v.${h}`],
      { num_heads: shape.group, kv_num_heads: 1, do_rotary: 0, scale: { float: 1 / Math.sqrt(shape.headDim) } },
      MS,
    );
  }).map((out, h) => {
    if (!pastBias) return out;
    const heads = graph.node("Reshape", [out, int64s(graph, `${p}wide.${h}`, [1, -1, shape.group, width])], [
      `${p}wide.${h}.heads`,
    ]);
    const cut = graph.node("Slice", [
      heads,
      int64s(graph, `${p}cut.from.${h}`, [0]),
      int64s(graph, `${p}cut.to.${h}`, [shape.headDim]),
      int64s(graph, `${p}cut.axis.${h}`, [3]),
    ], [`${p}cut.${h}`]);
    const flat = int64s(graph, `${p}cut.shape.${h}`, [1, -1, shape.group * shape.headDim]);
    return graph.node("Reshape", [cut, flat], [`${p}cut.${h}.flat`]);
  });
  return outputs.length === 1 ? outputs[0]! : graph.node("Concat", outputs, [`${p}gqa.out`], { axis: 2 });
}

/** Extra dimensions of a head that carry the bias: one would do, but kernels like multiples of eight. */
const BIAS_DIMS = 8;

const int64s = (graph: Graph, name: string, values: number[]) => graph.int64s(`${name}.const`, values);

/** What `widened` appends to the rows of a pass, the same in all layers. */
const WIDE = { rows: "wide.rows", queries: "wide.queries" };

/** Adds them to the outermost graph: zeros [1, S, BIAS_DIMS] and, for queries, sqrt(D) [1, S, G, BIAS_DIMS]. */
export function biasColumns(graph: Graph, { group, headDim }: AttentionShape): void {
  const filled = (name: string, value: number, dims: number[]) => {
    const shape = graph.node(
      "Concat",
      [
        graph.int64s(`${name}.first`, [1]),
        "S64",
        graph.int64s(`${name}.last`, dims),
      ],
      [`${name}.shape`],
      { axis: 0 },
    );
    const one = graph.constant(`${name}.value`, "float32", [], Float32Array.of(value));
    return graph.node("Expand", [one, shape], [name]);
  };
  filled(WIDE.rows, 0, [BIAS_DIMS]);
  filled(WIDE.queries, Math.sqrt(headDim), [group, BIAS_DIMS]);
}

/**
 * Queries, keys and values with `BIAS_DIMS` more dimensions: sqrt(D); the bias and zeros; anything, as they are cut off again. Everything is joined and
 * nothing padded: a Pad takes twice as long.
 */
function widened(graph: Graph, p: string, wires: LayerWires, bias: string[], shape: AttentionShape): LayerWires {
  const { group, headDim } = shape;
  const zeros4less = int64s(graph, `${p}pad4less`, [0, 0, 0, 0, 0, 0, 0, BIAS_DIMS - 1]);
  const split = int64s(graph, `${p}split`, [1, -1, group, headDim]);
  const joined = int64s(graph, `${p}joined`, [1, -1, group * (headDim + BIAS_DIMS)]);
  const column = int64s(graph, `${p}column`, [1, 1, -1, 1]);
  const columns = bias.map((slots, h) => {
    const first = graph.node("Reshape", [slots, column], [`${p}b.column.${h}`]);
    return graph.node("Pad", [first, zeros4less], [`${p}b.columns.${h}`]);
  });
  const with8 = (rows: string, more: string, name: string, axis: number) =>
    graph.node("Concat", [rows, more], [name], { axis });
  return {
    ...wires,
    groupQueries: wires.groupQueries.map((query, h) => {
      const heads = graph.node("Reshape", [query, split], [`${p}b.q.${h}.heads`]);
      return graph.node("Reshape", [with8(heads, WIDE.queries, `${p}b.q.${h}.wide`, 3), joined], [`${p}b.q.${h}`]);
    }),
    newKeys: wires.newKeys.map((rows, h) => with8(rows, WIDE.rows, `${p}b.nk.${h}`, 2)),
    newValues: wires.newValues.map((rows, h) => with8(rows, WIDE.rows, `${p}b.nv.${h}`, 2)),
    pastKeys: wires.pastKeys.map((rows, h) => with8(rows, columns[h]!, `${p}b.k.${h}`, 3)),
    pastValues: wires.pastValues.map((rows, h) => with8(rows, columns[h]!, `${p}b.v.${h}`, 3)),
  };
}

/** Queries of all rows from `firstRow` on, per KV head [1, 1, G * R, D]. */
function headQueries(graph: Graph, p: string, wires: LayerWires, shared: SharedWires, shape: AttentionShape) {
  const rows = graph.node("Slice", [wires.query, shared.firstRow, shared.rowCount64, "axis1"], [`${p}q.rows`]);
  const heads = graph.node("Reshape", [rows, shared.querySplitShape], [`${p}q.heads`]);
  const first = graph.node("Transpose", [heads], [`${p}q.first`], { perm: [1, 2, 0, 3] });
  const flat = graph.node("Reshape", [first, shared.headsShape], [`${p}q.flat`]);
  if (shape.kvHeads === 1) return [flat];
  const outputs = Array.from({ length: shape.kvHeads }, (_, h) => `${p}q.${h}`);
  graph.node("Split", [flat], outputs, { axis: 1, num_outputs: shape.kvHeads });
  return outputs;
}

/** Softmax over [cache | new rows] of the used rows, per KV head [1, 1, G * R, T]. */
export function probabilities(
  graph: Graph,
  p: string,
  wires: LayerWires,
  shared: SharedWires,
  shape: AttentionShape,
): string[] {
  const scale = { transB: 1, alpha: { float: 1 / Math.sqrt(shape.headDim) } };
  return headQueries(graph, p, wires, shared, shape).map((query, h) => {
    const unbiased = graph.node("FusedMatMul", [query, wires.pastKeys[h]!], [`${p}s.past.${h}`], scale, MS);
    const past = wires.pastBias ? graph.node("Add", [unbiased, wires.pastBias[h]!], [`${p}s.biased.${h}`]) : unbiased;
    const fresh = graph.node("FusedMatMul", [query, wires.newKeys[h]!], [`${p}s.new.${h}`], scale, MS);
    const masked = graph.node("Add", [fresh, shared.mask], [`${p}s.masked.${h}`]);
    const all = graph.node("Concat", [past, masked], [`${p}s.${h}`], { axis: 3 });
    return graph.node("Softmax", [all], [`${p}p.${h}`], { axis: -1 });
  });
}

/** Attention of all rows: the output [1, S, heads * D], and per head the weights [1, 1, G * S, T] behind it. */
export function decomposed(
  graph: Graph,
  p: string,
  wires: LayerWires,
  shared: SharedWires,
  shape: AttentionShape,
): { output: string; weights: string[] } {
  const weights = probabilities(graph, p, wires, shared, shape);
  const outputs = weights.map((all, h) => {
    const past = graph.node("Shape", [wires.pastKeys[h]!], [`${p}past.${h}`], { start: 2, end: 3 });
    const sizes = graph.node("Concat", [past, shared.rowCount64], [`${p}sizes.${h}`], { axis: 0 });
    graph.node("Split", [all, sizes], [`${p}p.past.${h}`, `${p}p.new.${h}`], { axis: 3 });
    const fromPast = graph.node("MatMul", [`${p}p.past.${h}`, wires.pastValues[h]!], [`${p}o.past.${h}`]);
    const fromNew = graph.node("MatMul", [`${p}p.new.${h}`, wires.newValues[h]!], [`${p}o.new.${h}`]);
    return graph.node("Add", [fromPast, fromNew], [`${p}o.${h}`]);
  });
  const joined = outputs.length === 1 ? outputs[0]! : graph.node("Concat", outputs, [`${p}o`], { axis: 1 });
  const heads = graph.node("Reshape", [joined, shared.outputSplitShape], [`${p}o.heads`]);
  const rows = graph.node("Transpose", [heads], [`${p}o.rows`], { perm: [2, 0, 1, 3] });
  return { output: graph.node("Reshape", [rows, shared.outputShape], [`${p}o.out`]), weights };
}

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

/** Rows averaged over neighbouring slots and brought back to mass 1, [1, 1, G * R, T]. */
function averaged(graph: Graph, p: string, weights: string): string {
  const radius = (DEFENSIVE_KERNEL - 1) / 2;
  // as a convolution: four times as quick as AveragePool
  const kernel = new Float32Array(DEFENSIVE_KERNEL).fill(1 / DEFENSIVE_KERNEL);
  const window = graph.constant(`${p}.kernel`, "float32", [1, 1, DEFENSIVE_KERNEL], kernel);
  const flat = graph.node("Squeeze", [weights, int64s(graph, `${p}.axes01`, [0, 1])], [`${p}.flat`]);
  const rows = graph.node("Unsqueeze", [flat, int64s(graph, `${p}.axis1`, [1])], [`${p}.rows`]);
  const pooled = graph.node("Conv", [rows, window], [`${p}.pooled`], { pads: [radius, radius] });
  // a softmax row has mass 1, and pooling loses some at the ends: of slot i's, radius - i parts in DEFENSIVE_KERNEL
  const missing = Float32Array.from({ length: radius }, (_, i) => (radius - i) / DEFENSIVE_KERNEL);
  const lost = (side: string, from: number, to: number, shares: Float32Array) => {
    const limits = [from, to, 3].map((value, i) => int64s(graph, `${p}.${side}.${i}`, [value]));
    const columns = graph.node("Slice", [weights, ...limits], [`${p}.${side}`]);
    const column = graph.constant(`${p}.${side}.shares`, "float32", [radius, 1], shares);
    return graph.node("MatMul", [columns, column], [`${p}.${side}.lost`]);
  };
  const first = lost("first", 0, radius, missing), last = lost("last", -radius, END, missing.toReversed());
  const one = graph.constant(`${p}.one`, "float32", [], Float32Array.of(1));
  const without = graph.node("Sub", [one, first], [`${p}.without`]);
  const mass = graph.node("Sub", [without, last], [`${p}.mass`]);
  const column = graph.node("Reshape", [mass, int64s(graph, `${p}.column`, [-1, 1, 1])], [`${p}.column`]);
  const level = graph.node("Div", [pooled, column], [`${p}.level`]);
  return graph.node("Unsqueeze", [
    graph.node("Squeeze", [level, int64s(graph, `${p}.middle`, [1])], [`${p}.level2`]),
    int64s(graph, `${p}.front`, [0, 1]),
  ], [`${p}.level4`]);
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
