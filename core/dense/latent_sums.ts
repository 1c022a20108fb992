/** What evicted slots of a head add to its latent memory (`compensate/latent_state.ts`). One graph for all heads, which reads their live values in place. */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/** keys [x, d] of the slots, not rotated; values [n, d], slots [x], phi [d, r] → sums [r, d] = Σ φ(k) vᵀ, norms [r] = Σ φ(k)² */
export function writeLatentSums(headDim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph("latent_sums");
  graph.input("keys", "float32", ["X", headDim]);
  graph.input("values", "float32", ["N", headDim]);
  graph.input("slots", "int32", ["X"]);
  graph.input("phi", "float32", [headDim, "R"]);
  const features = graph.node("MatMul", ["keys", "phi"], ["features"]);
  const values = graph.node("Gather", ["values", "slots"], ["slots.values"], { axis: 0 });
  graph.node("Gemm", [features, values], ["sums"], { transA: 1 });
  graph.node("ReduceSumSquare", [features, graph.int64s("axis0", [0])], ["norms"], { keepdims: 0 });
  graph.output("sums", "float32", ["R", headDim]);
  graph.output("norms", "float32", ["R"]);
  return serializeModel(graph);
}

/** The graph, opened: one for all heads. */
export class LatentSumsGraph {
  private constructor(private readonly graph: Dense, private readonly headDim: number) {}

  static async open(engine: Engine, headDim: number): Promise<LatentSumsGraph> {
    return new LatentSumsGraph(await engine.dense(`latent_sums.${headDim}`, () => writeLatentSums(headDim)), headDim);
  }

  /**
   * @param keys of the slots, not rotated [x, d] @param values live ones of the head [n, d]
   * @param slots [x], at least one @param phi [d, r]
   */
  async of(
    keys: Float32Array,
    values: Float32Array,
    slots: Int32Array,
    phi: Float32Array,
  ): Promise<{ sums: Float32Array; norms: Float32Array }> {
    const { headDim } = this;
    const { sums, norms } = await this.graph.run({
      keys: { data: keys, dims: [slots.length, headDim] },
      values: { data: values, dims: [values.length / headDim, headDim] },
      slots: { data: slots, dims: [slots.length] },
      phi: { data: phi, dims: [headDim, phi.length / headDim] },
    });
    return { sums: sums!.data as Float32Array, norms: norms!.data as Float32Array };
  }
}
