/**
 * The attention that queries of a normal distribution pay to each row of a head, alone or times the length of the row's value (ExpectedAttention,
 * arXiv 2510.00636). One graph for all heads, which reads their live rows in place.
 */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/**
 * keys [n, d], values [n, d], mean [g d, 1], form [g d, d] → score [n]: for each head of the group the softmax over the rows of k·mean + kᵀ form k,
 * then the mean over the group, times ‖v‖₂ where it is weighted; else there are no values. Inside, rows are columns: long rows of many slots are quicker than many short ones.
 * @param group g, heads of the group
 * @param headDim d
 */
export function writeExpectedAttention(group: number, headDim: number, weighted: boolean): Uint8Array<ArrayBuffer> {
  const graph = new Graph("expected_attention");
  graph.input("keys", "float32", ["N", headDim]);
  if (weighted) graph.input("values", "float32", ["N", headDim]);
  graph.input("mean", "float32", [group * headDim, 1]);
  graph.input("form", "float32", [group * headDim, headDim]);
  // (form k + mean)·k holds both terms
  graph.node("Gemm", ["form", "keys", "mean"], ["linear"], { transB: 1 });
  graph.node("Reshape", ["linear", graph.int64s("heads", [group, headDim, -1])], ["linear.heads"]);
  graph.node("Transpose", ["keys"], ["columns"], { perm: [1, 0] });
  graph.node("Mul", ["linear.heads", "columns"], ["products"]);
  graph.node("ReduceSum", ["products", graph.int64s("axis1", [1])], ["logits"], { keepdims: 0 });
  graph.node("Softmax", ["logits"], ["weights"], { axis: 1 });
  const score = graph.node("ReduceMean", ["weights", graph.int64s("axis0", [0])], ["weight"], { keepdims: 0 });
  if (weighted) {
    graph.node("ReduceL2", ["values", "axis1"], ["norms"], { keepdims: 0 });
    graph.node("Mul", [score, "norms"], ["score"]);
  }
  graph.output(weighted ? "score" : score, "float32", ["N"]);
  return serializeModel(graph);
}

/** The graph, opened: one for all heads, and for as long as the engine lives. */
export class ExpectedAttentionGraph {
  private constructor(private readonly graph: Dense, private readonly headDim: number, readonly weighted: boolean) {}

  static async open(engine: Engine, weighted: boolean): Promise<ExpectedAttentionGraph> {
    const { heads, kvHeads, headDim } = engine.config, group = heads / kvHeads;
    const name = `expected_attention.${group}.${headDim}${weighted ? ".weighted" : ""}`;
    const graph = await engine.dense(name, () => writeExpectedAttention(group, headDim, weighted));
    return new ExpectedAttentionGraph(graph, headDim, weighted);
  }

  /** @param keys, values [n, d] @param mean [g, d] @param form [g, d, d] @returns [n] */
  async score(keys: Float32Array, values: Float32Array, mean: Float32Array, form: Float32Array): Promise<Float32Array> {
    const { headDim } = this, dims = [keys.length / headDim, headDim];
    const outputs = await this.graph.run({
      keys: { data: keys, dims },
      ...(this.weighted ? { values: { data: values, dims } } : {}),
      mean: { data: mean, dims: [mean.length, 1] },
      form: { data: form, dims: [mean.length, headDim] },
    });
    return outputs[this.weighted ? "score" : "weight"]!.data as Float32Array;
  }
}
