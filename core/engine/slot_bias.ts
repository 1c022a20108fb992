/**
 * A bias per slot for chunks: it rides in extra dimensions of the head, where queries carry a constant and keys the bias, because a bias of chunk × slots
 * would be a gigabyte over all layers. Shapes as in `attention.ts`.
 */
import type { AttentionShape, LayerWires } from "./attention.ts";
import type { Graph } from "./onnx.ts";

/** Extra dimensions of a head that carry the bias: one would do, but kernels like multiples of eight. */
export const BIAS_DIMS = 8;

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
export function widened(graph: Graph, p: string, wires: LayerWires, bias: string[], shape: AttentionShape): LayerWires {
  const { group, headDim } = shape;
  const zeros4less = graph.int64s(`${p}pad4less`, [0, 0, 0, 0, 0, 0, 0, BIAS_DIMS - 1]);
  const split = graph.int64s(`${p}split`, [1, -1, group, headDim]);
  const joined = graph.int64s(`${p}joined`, [1, -1, group * (headDim + BIAS_DIMS)]);
  const column = graph.int64s(`${p}column`, [1, 1, -1, 1]);
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

/** The attention output of a group [1, S, G * (D + BIAS_DIMS)] without the extra dimensions. */
export function narrowed(graph: Graph, p: string, out: string, { group, headDim }: AttentionShape): string {
  const wide = graph.int64s(`${p}.wide`, [1, -1, group, headDim + BIAS_DIMS]);
  const heads = graph.node("Reshape", [out, wide], [`${p}.heads`]);
  const limits = [0, headDim, 3].map((value, i) => graph.int64s(`${p}.limit.${i}`, [value]));
  const cut = graph.node("Slice", [heads, ...limits], [`${p}.own`]);
  return graph.node("Reshape", [cut, graph.int64s(`${p}.flat`, [1, -1, group * headDim])], [p]);
}
