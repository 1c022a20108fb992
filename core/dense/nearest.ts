/** For every row the nearest of some centres, by squared distance; of equally near ones the first. */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/** rows [x, d], centres [c, d] → index [x] */
export function writeNearest(width: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph("nearest");
  graph.input("rows", "float32", ["X", width]);
  graph.input("centres", "float32", ["C", width]);
  graph.int64s("axis1", [1]);
  // ‖x‖² is the same for all centres and left out
  const products = graph.node("FusedMatMul", ["rows", "centres"], ["products"], {
    transB: 1,
    alpha: { float: 2 },
  }, "com.microsoft");
  const norms = graph.node("ReduceSumSquare", ["centres", "axis1"], ["norms"], { keepdims: 0 });
  const distance = graph.node("Sub", [norms, products], ["distance"]);
  const index = graph.node("ArgMin", [distance], ["index64"], { axis: 1, keepdims: 0 });
  graph.node("Cast", [index], ["index"], { to: 6 });
  graph.output("index", "int32", ["X"]);
  return serializeModel(graph);
}

/** The graph, opened: one for all heads. */
export class NearestGraph {
  private constructor(private readonly graph: Dense, private readonly width: number) {}

  static async open(engine: Engine, width: number): Promise<NearestGraph> {
    return new NearestGraph(await engine.dense(`nearest.${width}`, () => writeNearest(width)), width);
  }

  /** @param rows [x, d] @param centres [c, d] @returns [x] */
  async find(rows: Float32Array, centres: Float32Array): Promise<Int32Array> {
    const { index } = await this.graph.run({
      rows: { data: rows, dims: [rows.length / this.width, this.width] },
      centres: { data: centres, dims: [centres.length / this.width, this.width] },
    });
    return index!.data as Int32Array;
  }
}
