/**
 * Attention over a fixed-budget cache, as graph pieces. Every KV head owns its own run of slots and enters the graph as its own past input
 * [1, 1, P_h, D], so heads may keep different numbers of slots and nothing is padded or masked.
 *
 * - `fused`: one GroupQueryAttention node per KV head (do_rotary = 0: rows arrive rotated). Best for chunks.
 * - `decomposed`: plain products over [cache | new rows]. Best for few rows, as GroupQueryAttention copies the whole past first.
 * - `probabilities`: what the last R rows of a pass give to every slot (`attention_mass.ts` aggregates it).
 *
 * A slot may have a bias that is added to its logits. Few rows add it, and so do the probabilities of a chunk's last rows; a chunk's own output does
 * without: GroupQueryAttention knows no bias per slot, in extra dimensions of the head it took 40 of 430 ms, and over many compactions reading with
 * biases was worse (KL after 6,000 tokens at 480 slots, 6 stretches: flow .088 with and .083 without, centroids .100 and .086, dropping .097).
 *
 * Shapes: S rows of a pass, G = heads / kvHeads, D head size, P slots of the head before the pass, T = P + S.
 */
import type { Graph } from "./onnx.ts";

/** Up to so many rows, decomposed attention is quicker than GroupQueryAttention's copy of the past (measured at 1,024 slots). */
export const FEW_ROWS = 64;

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
  /** Per KV head: what is added to the slots' logits [1, 1, 1, P_h], or in a window to each used row's [1, 1, G * R, P]; null for nothing. */
  pastBias: string[] | null;
}

export interface AttentionShape {
  kvHeads: number;
  group: number;
  headDim: number;
  /** Tokens that a token sees, itself included. Default: all. */
  window?: number;
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

/** Returns the attention output [1, S, heads * D], without the slots' biases. */
export function fused(
  graph: Graph,
  p: string,
  wires: LayerWires,
  shared: SharedWires,
  shape: AttentionShape,
): string {
  const outputs = wires.groupQueries.map((query, h) => {
    const past = graph.node("Shape", [wires.pastKeys[h]!], [`${p}gqa.past64.${h}`], { start: 2, end: 3 });
    const past32 = graph.node("Cast", [past], [`${p}gqa.past.${h}`], { to: 6 });
    const total = graph.node("Add", [past32, shared.rowCount], [`${p}gqa.total.${h}`]);
    const last = graph.node("Sub", [total, "one32"], [`${p}gqa.last.${h}`]);
    return graph.node(
      "GroupQueryAttention",
      [query, wires.newKeys[h]!, wires.newValues[h]!, wires.pastKeys[h]!, wires.pastValues[h]!, last, total],
      [`${p}gqa.out.${h}`, `${p}gqa.k.${h}`, `${p}gqa.v.${h}`],
      {
        num_heads: shape.group,
        kv_num_heads: 1,
        do_rotary: 0,
        scale: { float: 1 / Math.sqrt(shape.headDim) },
        ...(shape.window ? { local_window_size: shape.window } : {}),
      },
      MS,
    );
  });
  return outputs.length === 1 ? outputs[0]! : graph.node("Concat", outputs, [`${p}gqa.out`], { axis: 2 });
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
