/**
 * What a learned indexer (`probe/index_score.ts`) makes of a pass, as graph pieces: the index keys of all rows, and index queries and weights of the last
 * ones. Its weights are inputs, so the graph is the same for any pack, and whatever shape its indexer has.
 */
import { type Indexer, INDEXER_EPSILON } from "../probe/index_score.ts";
import type { DenseTensor } from "./engine.ts";
import { Graph } from "./onnx.ts";
import type { ModelConfig } from "./weights.ts";

/** Inputs of a layer: the indexer's weights. */
export const indexerInputs = {
  /** [n, d, heads * headDim] */
  query: (layer: number) => `indexer.query.${layer}`,
  /** [d, hidden], [d] */
  key: (layer: number) => `indexer.key.${layer}`,
  keyBias: (layer: number) => `indexer.key.bias.${layer}`,
  /** [n, hidden], [n] */
  weight: (layer: number) => `indexer.weight.${layer}`,
  weightBias: (layer: number) => `indexer.weight.bias.${layer}`,
  /** [d] each */
  queryGain: (layer: number) => `indexer.query.gain.${layer}`,
  queryShift: (layer: number) => `indexer.query.shift.${layer}`,
  keyGain: (layer: number) => `indexer.key.gain.${layer}`,
  keyShift: (layer: number) => `indexer.key.shift.${layer}`,
};

/** A layer's weights as the inputs want them. */
export function indexerFeeds(layer: number, of: Indexer): Record<string, DenseTensor> {
  const { heads, dim } = of, hidden = of.key.length / dim;
  const feeds: { [name in keyof typeof indexerInputs]: DenseTensor } = {
    query: { data: of.query, dims: [heads, dim, of.query.length / (heads * dim)] },
    key: { data: of.key, dims: [dim, hidden] },
    keyBias: { data: of.keyBias, dims: [dim] },
    weight: { data: of.weight, dims: [heads, hidden] },
    weightBias: { data: of.weightBias, dims: [heads] },
    queryGain: { data: of.queryNorm.weight, dims: [dim] },
    queryShift: { data: of.queryNorm.bias, dims: [dim] },
    keyGain: { data: of.keyNorm.weight, dims: [dim] },
    keyShift: { data: of.keyNorm.bias, dims: [dim] },
  };
  return Object.fromEntries(
    Object.entries(feeds).map(([name, feed]) => [indexerInputs[name as keyof typeof indexerInputs](layer), feed]),
  );
}

/** Outputs of a layer, of all S rows and of the last Q. */
export const indexerOutputs = {
  /** [1, S, d] */
  keys: (layer: number) => `index.keys.${layer}`,
  /** [n, Q, d] */
  queries: (layer: number) => `index.queries.${layer}`,
  /** [1, Q, n], not scaled */
  weights: (layer: number) => `index.weights.${layer}`,
};

/** Bool [1] input: whether they are wanted; int64 [1] input: the first row that asks. */
export const WANT_INDEX = "want_index", INDEX_START = "index_start";

/** Input and constants that all layers share, once per graph, which has the input `WANT_INDEX` too where it may not be wanted. @param width heads * headDim */
export function indexerConstants(graph: Graph, width: number): void {
  graph.input(INDEX_START, "int64", [1]);
  graph.int64s("index.width", [width]);
  graph.int64s("index.zero", [0]);
  graph.int64s("index.end", [Number.MAX_SAFE_INTEGER]);
  graph.int64s("index.axis1", [1]);
  graph.int64s("index.axes12", [1, 2]);
}

/** Declares a layer's weights. */
export function indexerWeights(
  graph: Graph,
  layer: number,
  { hidden, heads, headDim }: Pick<ModelConfig, "hidden" | "heads" | "headDim">,
): void {
  const shapes: { [name in keyof typeof indexerInputs]: (number | string)[] } = {
    query: ["index.n", "index.d", heads * headDim],
    key: ["index.d", hidden],
    keyBias: ["index.d"],
    weight: ["index.n", hidden],
    weightBias: ["index.n"],
    queryGain: ["index.d"],
    queryShift: ["index.d"],
    keyGain: ["index.d"],
    keyShift: ["index.d"],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    graph.input(indexerInputs[name as keyof typeof indexerInputs](layer), "float32", shape);
  }
}

/**
 * Adds the outputs of a layer, empty where they are not wanted.
 * @param x rows behind the layer's first norm [1, S, hidden]
 * @param query before rotation [1, S, ≥ heads * headDim]
 */
export function indexIfWanted(
  graph: Graph,
  layer: number,
  x: string,
  query: string,
): void {
  const yes = new Graph(`l${layer}.index`), no = new Graph(`l${layer}.noindex`);
  const names = Object.values(indexerOutputs).map((name) => name(layer));
  for (const [i, value] of indexFacts(yes, layer, x, query).entries()) {
    yes.output(value, "float32", DIMS[i]!);
    const none = no.constant(`l${layer}.noindex.${i}`, "float32", [0, 0, 0], new Float32Array(0));
    no.output(none, "float32", DIMS[i]!);
    graph.output(names[i]!, "float32", DIMS[i]!);
  }
  graph.node("If", [WANT_INDEX], names, { then_branch: yes, else_branch: no });
}

const DIMS = ["keys", "queries", "weights"].map((what) => [0, 1, 2].map((axis) => `index.${what}.${axis}`));

/** A layer's, of which `x` and `query` are as above. @returns index keys [1, S, d], queries [n, Q, d] and weights [1, Q, n] */
export function indexFacts(graph: Graph, layer: number, x: string, query: string): string[] {
  const p = `l${layer}.index.`, of = indexerInputs;
  /** y = x Wᵀ, of several matrices at once where W is of three dimensions. */
  const product = (rows: string, matrix: string, name: string) =>
    graph.node("FusedMatMul", [rows, matrix], [`${p}${name}`], { transB: 1 }, "com.microsoft");
  const normed = (rows: string, gain: string, shift: string, name: string) =>
    graph.node("LayerNormalization", [rows, gain, shift], [`${p}${name}`], {
      axis: -1,
      epsilon: { float: INDEXER_EPSILON },
    });
  const keys = graph.node("Add", [product(x, of.key(layer), "k.raw"), of.keyBias(layer)], [`${p}k.biased`]);
  const starts = graph.node("Concat", [INDEX_START, "index.zero"], [`${p}starts`], { axis: 0 });
  const ends = graph.node("Concat", ["index.end", "index.width"], [`${p}ends`], { axis: 0 });
  const asking = graph.node("Slice", [query, starts, ends, "index.axes12"], [`${p}asking`]);
  const last = graph.node("Slice", [x, INDEX_START, "index.end", "index.axis1"], [`${p}last`]);
  return [
    normed(keys, of.keyGain(layer), of.keyShift(layer), "k"),
    normed(product(asking, of.query(layer), "q.raw"), of.queryGain(layer), of.queryShift(layer), "q"),
    graph.node("Add", [product(last, of.weight(layer), "w.raw"), of.weightBias(layer)], [`${p}w`]),
  ];
}
