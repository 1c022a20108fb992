/** Mean index scores of slots (`probe/index_score.ts`): one graph for all layers. */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/** queries [p, d] of all pairs of a query and an index head, weights [1, p], keys [n, d] → scores [1, n] = Σ_p w_p ReLU(q_p · k) */
export function writeIndexScores(dim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph("index_scores");
  graph.input("queries", "float32", ["P", dim]);
  graph.input("weights", "float32", [1, "P"]);
  graph.input("keys", "float32", ["N", dim]);
  const products = graph.node("Gemm", ["queries", "keys"], ["products"], { transB: 1 });
  graph.node("MatMul", ["weights", graph.node("Relu", [products], ["positive"])], ["scores"]);
  graph.output("scores", "float32", [1, "N"]);
  return serializeModel(graph);
}

/** The graph, opened. */
export class IndexScoresGraph {
  private constructor(private readonly graph: Dense, private readonly dim: number) {}

  /** @param dim d, numbers of an index key */
  static async open(engine: Engine, dim: number): Promise<IndexScoresGraph> {
    return new IndexScoresGraph(await engine.dense(`index_scores.${dim}`, () => writeIndexScores(dim)), dim);
  }

  /** @param queries [pairs, d] @param weights [pairs], what each counts in the mean @param keys [slots, d] @returns [slots] */
  async score(queries: Float32Array, weights: Float32Array, keys: Float32Array): Promise<Float32Array> {
    const { scores } = await this.graph.run({
      queries: { data: queries, dims: [weights.length, this.dim] },
      weights: { data: weights, dims: [1, weights.length] },
      keys: { data: keys, dims: [keys.length / this.dim, this.dim] },
    });
    return scores!.data as Float32Array;
  }
}
