/** For some slots of a head the nearest of others, by squared distance between keys; of equally near ones the first. */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/** keys [live, d], slots [x], centres [c] (slot indices) → index [x] */
export function writeNearest(headDim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph("nearest");
  graph.input("keys", "float32", ["N", headDim]);
  graph.input("slots", "int32", ["X"]);
  graph.input("centres", "int32", ["C"]);
  graph.int64s("axis1", [1]);
  const rows = graph.node("Gather", ["keys", "slots"], ["slots.keys"], { axis: 0 });
  const centres = graph.node("Gather", ["keys", "centres"], ["centres.keys"], { axis: 0 });
  // ‖x‖² is the same for all centres and left out
  const products = graph.node("FusedMatMul", [rows, centres], ["products"], {
    transB: 1,
    alpha: { float: 2 },
  }, "com.microsoft");
  const norms = graph.node("ReduceSumSquare", [centres, "axis1"], ["norms"], { keepdims: 0 });
  const distance = graph.node("Sub", [norms, products], ["distance"]);
  const index = graph.node("ArgMin", [distance], ["index64"], { axis: 1, keepdims: 0 });
  graph.node("Cast", [index], ["index"], { to: 6 });
  graph.output("index", "int32", ["X"]);
  return serializeModel(graph);
}

/** The graph, opened: one for all heads. */
export class NearestGraph {
  private constructor(private readonly graph: Dense, private readonly headDim: number) {}

  static async open(engine: Engine, headDim: number): Promise<NearestGraph> {
    return new NearestGraph(await engine.dense(`nearest.${headDim}`, () => writeNearest(headDim)), headDim);
  }

  /**
   * @param keys live keys of the head [live, d]
   * @param slots [x] @param centres slots to choose from, at least one
   * @returns indices into `centres` [x]
   */
  async find(keys: Float32Array, slots: Int32Array, centres: Int32Array): Promise<Int32Array> {
    const { index } = await this.graph.run({
      keys: { data: keys, dims: [keys.length / this.headDim, this.headDim] },
      slots: { data: slots, dims: [slots.length] },
      centres: { data: centres, dims: [centres.length] },
    });
    return index!.data as Int32Array;
  }
}
