/**
 * For every evicted slot of a head, the kept slots whose keys are most like its own. One graph for all heads: it gathers both sets of rows from the
 * head's live keys, which it reads in place, multiplies and takes the largest of each row.
 */
import type { Dense, Engine } from "../engine/engine.ts";
import { Graph, serializeModel } from "../engine/onnx.ts";

/** Likeness of two keys: their product over √d, as a query's logit, or the cosine between them. */
export type Likeness = "product" | "cosine";

export interface TopSimilar {
  /** Likeness of the best receivers of every evicted slot, descending: [evicted, m]. */
  likeness: Float32Array;
  /** Which they are, as indices into `receivers`: [evicted, m]. */
  index: Int32Array;
  m: number;
}

/**
 * keys [live, d], kept [k], dropped [x] (slot indices), m [1] → likeness [x, m], index [x, m]
 * @param headDim d
 */
export function writeTopSimilar(likeness: Likeness, headDim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph(`top_similar.${likeness}`);
  graph.input("keys", "float32", ["N", headDim]);
  graph.input("kept", "int32", ["K"]);
  graph.input("dropped", "int32", ["X"]);
  graph.input("m", "int64", [1]);
  const rows = (slots: string) => {
    const gathered = graph.node("Gather", ["keys", slots], [`${slots}.keys`], { axis: 0 });
    if (likeness === "product") return gathered;
    return graph.node("LpNormalization", [gathered], [`${slots}.unit`], { axis: 1, p: 2 });
  };
  const alpha = likeness === "product" ? 1 / Math.sqrt(headDim) : 1;
  graph.node("FusedMatMul", [rows("dropped"), rows("kept")], ["all"], {
    transB: 1,
    alpha: { float: alpha },
  }, "com.microsoft");
  graph.node("TopK", ["all", "m"], ["likeness", "index64"], { axis: 1, largest: 1, sorted: 1 });
  graph.node("Cast", ["index64"], ["index"], { to: 6 });
  graph.output("likeness", "float32", ["X", "M"]);
  graph.output("index", "int32", ["X", "M"]);
  return serializeModel(graph);
}

/** The graph, opened: one for all heads, and for as long as the engine lives. */
export class TopSimilarGraph {
  private constructor(private readonly graph: Dense, private readonly headDim: number) {}

  static async open(engine: Engine, likeness: Likeness, headDim: number): Promise<TopSimilarGraph> {
    const write = () => writeTopSimilar(likeness, headDim);
    return new TopSimilarGraph(await engine.dense(`top_similar.${likeness}.${headDim}`, write), headDim);
  }

  /**
   * @param keys live keys of the head [live, d]
   * @param dropped slots whose like is sought, at least one
   * @param receivers slots to choose from, at least one
   * @param most receivers for each; fewer where there are fewer
   */
  async find(keys: Float32Array, dropped: Int32Array, receivers: Int32Array, most: number): Promise<TopSimilar> {
    const m = Math.min(most, receivers.length);
    const { likeness, index } = await this.graph.run({
      keys: { data: keys, dims: [keys.length / this.headDim, this.headDim] },
      kept: { data: receivers, dims: [receivers.length] },
      dropped: { data: dropped, dims: [dropped.length] },
      m: { data: BigInt64Array.of(BigInt(m)), dims: [1] },
    });
    return { likeness: likeness!.data as Float32Array, index: index!.data as Int32Array, m };
  }
}
