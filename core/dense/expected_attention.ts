/**
 * The attention that queries of a normal distribution pay to each row of a head, times the length of the row's value (ExpectedAttention,
 * arXiv 2510.00636). One graph for all heads, which reads their live rows in place.
 */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/**
 * keys [n, d], values [n, d], mean [1, g d], form [d, g d] → score [n]: for each head of the group the softmax over the rows of k·mean + kᵀ form k,
 * then the mean over the group, times ‖v‖₂
 * @param group g, heads of the group
 * @param headDim d
 */
export function writeExpectedAttention(group: number, headDim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph("expected_attention");
  graph.input("keys", "float32", ["N", headDim]);
  graph.input("values", "float32", ["N", headDim]);
  graph.input("mean", "float32", [1, group * headDim]);
  graph.input("form", "float32", [headDim, group * headDim]);
  // (k form + mean)·k holds both terms
  graph.node("Gemm", ["keys", "form", "mean"], ["linear"]);
  graph.node("Reshape", ["linear", graph.int64s("heads.shape", [-1, group, headDim])], ["heads"]);
  graph.node("Reshape", ["keys", graph.int64s("keys.shape", [-1, 1, headDim])], ["keys3"]);
  graph.node("Mul", ["heads", "keys3"], ["products"]);
  graph.node("ReduceSum", ["products", graph.int64s("axis2", [2])], ["logits"], { keepdims: 0 });
  graph.node("Softmax", ["logits"], ["weights"], { axis: 0 });
  graph.node("ReduceMean", ["weights", graph.int64s("axis1", [1])], ["weight"], { keepdims: 0 });
  graph.node("ReduceL2", ["values", "axis1"], ["norms"], { keepdims: 0 });
  graph.node("Mul", ["weight", "norms"], ["score"]);
  graph.output("score", "float32", ["N"]);
  return serializeModel(graph);
}

/** The graph, opened: one for all heads, and for as long as the engine lives. */
export function openExpectedAttention(engine: Engine): Promise<Dense> {
  const { heads, kvHeads, headDim } = engine.config, group = heads / kvHeads;
  return engine.dense(`expected_attention.${group}.${headDim}`, () => writeExpectedAttention(group, headDim));
}
