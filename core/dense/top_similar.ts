/**
 * For every evicted slot of a head, the kept slots whose keys are most like its own. One graph for all heads: it gathers both sets of rows from the
 * head's live keys, which it reads in place, multiplies and takes the largest of each row.
 *
 * Of m blocks of a row with the largest maxima come its m largest numbers: a maximum is vectorised and TopK is not, so looking into these blocks only
 * takes two thirds of the time of looking at whole rows.
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

/** Receivers that are looked at as one. */
const BLOCK = 32;

/**
 * keys [live, d], kept [b * BLOCK], dropped [x] (slot indices), count [1] (how many of `kept` stand for themselves, the others repeat the last of them),
 * m [1], at most b and count → likeness [x, m], index [x, m]
 * @param headDim d
 */
export function writeTopSimilar(likeness: Likeness, headDim: number): Uint8Array<ArrayBuffer> {
  const graph = new Graph(`top_similar.${likeness}`);
  graph.input("keys", "float32", ["N", headDim]);
  graph.input("kept", "int32", ["K"]);
  graph.input("dropped", "int32", ["X"]);
  graph.input("count", "int64", [1]);
  graph.input("m", "int64", [1]);
  const rows = (slots: string) => {
    const gathered = graph.node("Gather", ["keys", slots], [`${slots}.keys`], { axis: 0 });
    if (likeness === "product") return gathered;
    return graph.node("LpNormalization", [gathered], [`${slots}.unit`], { axis: 1, p: 2 });
  };
  const scale = { transB: 1, alpha: { float: likeness === "product" ? 1 / Math.sqrt(headDim) : 1 } };
  const all = graph.node("FusedMatMul", [rows("dropped"), rows("kept")], ["all"], scale, "com.microsoft");
  const blocks = graph.node("Reshape", [all, graph.int64s("blocks.shape", [0, -1, BLOCK])], ["blocks"]);
  graph.int64s("axis2", [2]);
  graph.int64s("size", [BLOCK]);
  const best = graph.node("ReduceMax", [blocks, "axis2"], ["best"], { keepdims: 0 });
  graph.node("TopK", [best, "m"], ["best.values", "best.blocks"], { axis: 1 });
  // in the order of the receivers again, so that of equal ones the first is found
  graph.node("TopK", ["best.blocks", "m"], ["chosen", "chosen.places"], { axis: 1, largest: 0 });
  const chosen = graph.node("Unsqueeze", ["chosen", "axis2"], ["chosen.each"]);
  const inside = graph.node("GatherND", [blocks, chosen], ["inside"], { batch_dims: 1 });
  const first = graph.node("Mul", [chosen, "size"], ["chosen.first"]);
  const within = graph.int64s("within", Array.from({ length: BLOCK }, (_, i) => i));
  const index = graph.node("Add", [first, within], ["inside.index"]);
  const isOne = graph.node("Less", [index, "count"], ["inside.is_one"]);
  const nothing = graph.constant("nothing", "float32", [], Float32Array.of(-Infinity));
  const flat = graph.int64s("flat", [0, -1]);
  const ones = graph.node("Reshape", [graph.node("Where", [isOne, inside, nothing], ["ones"]), flat], ["ones.flat"]);
  graph.node("TopK", [ones, "m"], ["likeness", "places"], { axis: 1 });
  const indices = graph.node("Reshape", [index, flat], ["index.flat"]);
  graph.node("Cast", [graph.node("GatherElements", [indices, "places"], ["index64"], { axis: 1 })], ["index"], {
    to: 6,
  });
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
    const m = Math.min(most, receivers.length), kept = wholeBlocks(receivers, m);
    const { likeness, index } = await this.graph.run({
      keys: { data: keys, dims: [keys.length / this.headDim, this.headDim] },
      kept: { data: kept, dims: [kept.length] },
      dropped: { data: dropped, dims: [dropped.length] },
      count: { data: BigInt64Array.of(BigInt(receivers.length)), dims: [1] },
      m: { data: BigInt64Array.of(BigInt(m)), dims: [1] },
    });
    return { likeness: likeness!.data as Float32Array, index: index!.data as Int32Array, m };
  }
}

/** Receivers in blocks, at least `m` of these; the last receiver fills the rest, so that no block's maximum is another. */
function wholeBlocks(receivers: Int32Array, m: number): Int32Array {
  const all = new Int32Array(BLOCK * Math.max(m, Math.ceil(receivers.length / BLOCK))).fill(receivers.at(-1)!);
  all.set(receivers);
  return all;
}
