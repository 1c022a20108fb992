/**
 * What a written token's attention gives to the newest slots, for decode policies. The single-row pass computes these weights anyway; all layers' shares
 * leave the graph as one small tensor, because ninety outputs as long as the cache would cost more than the observation.
 */
import type { Graph } from "./onnx.ts";

/** Name of the output [layers * kvHeads, S, W]: the mean over the heads of a group. */
export const NEWEST = "newest";

/** Adds the input that says where the newest slots begin: -W. At least one, as a tensor without elements has no unknown dimension. */
export function newestInputs(graph: Graph): void {
  graph.input("newest_start", "int64", [1]);
  graph.int64s("newest.end", [Number.MAX_SAFE_INTEGER]);
  graph.int64s("newest.axis", [3]);
}

/**
 * Adds to both branches of a layer's attention the output `<p>newest` [1, kvHeads, rows, W].
 * @param weights per KV head [1, 1, rows, T], in the branch for few rows; the branch for chunks has none to give
 */
export function newestOf(p: string, few: Graph, many: Graph, weights: string[], group: number): string {
  const parts = weights.map((all, h) =>
    few.node("Slice", [all, "newest_start", "newest.end", "newest.axis"], [`${p}newest.${h}`])
  );
  const dims = [1, weights.length, "R", "W"];
  few.output(
    parts.length === 1 ? parts[0]! : few.node("Concat", parts, [`${p}newest.few`], { axis: 1 }),
    "float32",
    dims,
  );
  const rows = weights.length * group;
  const none = many.constant(`${p}newest.none`, "float32", [1, weights.length, group, 1], new Float32Array(rows));
  many.output(none, "float32", dims);
  return `${p}newest`;
}

/** Joins the layers' shares into the graph's output. @param group query heads of a KV head */
export function newestOutput(graph: Graph, layers: string[], heads: number, group: number): void {
  const all = layers.length === 1 ? layers[0]! : graph.node("Concat", layers, ["newest.layers"], { axis: 1 });
  const shape = graph.int64s("newest.shape", [heads, group, -1, 0]); // 0: W, as it is
  const rows = graph.node("Reshape", [all, shape], ["newest.rows"]);
  graph.node("ReduceMean", [rows, "axis1"], [NEWEST], { keepdims: 0 });
  graph.output(NEWEST, "float32", ["heads", "S", "W"]);
}
