/** Mean index scores of slots (`probe/index_score.ts`): one graph for all layers. */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/** queries [p, d] of all pairs of a query and an index head, weights [w, p], keys [n, d] → scores [w, n] = Σ_p w_p ReLU(q_p · k) */
export function writeIndexScores(dim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph("index_scores");
  graph.input("queries", "float32", ["P", dim]);
  graph.input("weights", "float32", ["W", "P"]);
  graph.input("keys", "float32", ["N", dim]);
  const products = graph.node("Gemm", ["queries", "keys"], ["products"], { transB: 1 });
  graph.node("MatMul", ["weights", graph.node("Relu", [products], ["positive"])], ["scores"]);
  graph.output("scores", "float32", ["W", "N"]);
  return serializeModel(graph);
}

/** The graph, opened. */
export class IndexScoresGraph {
  private constructor(private readonly graph: Dense, private readonly dim: number) {}

  /** @param dim d, numbers of an index key */
  static async open(engine: Engine, dim: number): Promise<IndexScoresGraph> {
    return new IndexScoresGraph(await engine.dense(`index_scores.${dim}`, () => writeIndexScores(dim)), dim);
  }

  /** @param queries [pairs, d] @param weights [w, pairs], what each counts in a mean @param keys [slots, d] @returns [w, slots] */
  async score(queries: Float32Array, weights: Float32Array, keys: Float32Array): Promise<Float32Array> {
    const pairs = queries.length / this.dim;
    const { scores } = await this.graph.run({
      queries: { data: queries, dims: [pairs, this.dim] },
      weights: { data: weights, dims: [weights.length / pairs, pairs] },
      keys: { data: keys, dims: [keys.length / this.dim, this.dim] },
    });
    return scores!.data as Float32Array;
  }
}
