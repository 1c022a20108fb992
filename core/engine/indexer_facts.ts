/**
 * What a learned indexer (`probe/index_score.ts`) makes of a pass, as graph pieces: the index keys of all rows, and index queries and weights of those that
 * ask. Its weights are inputs, so the graph is the same for any pack, and whatever shape its indexer has.
 */
import { type Indexer, INDEXER_EPSILON } from "../probe/index_score.ts";
import type { DenseTensor } from "./engine.ts";
import { Graph } from "./onnx.ts";
import type { ModelConfig } from "./weights.ts";

/** Inputs: the indexer's weights of all layers, each with one dimension for the layers in front; one of each, as an input costs more than its numbers. */
const inputs = {
  /** [n, d, heads * headDim] */
  query: "indexer.query",
  /** [d, hidden], [d] */
  key: "indexer.key",
  keyBias: "indexer.key.bias",
  /** [groups * n, hidden], [groups * n] */
  weight: "indexer.weight",
  weightBias: "indexer.weight.bias",
  /** [d] each */
  queryGain: "indexer.query.gain",
  queryShift: "indexer.query.shift",
  keyGain: "indexer.key.gain",
  keyShift: "indexer.key.shift",
};
type Weights = keyof typeof inputs;

/** The layers' weights as the inputs want them. */
export function indexerFeeds(layers: readonly Indexer[]): Record<string, DenseTensor> {
  const { heads, dim, groups, key, query } = layers[0]!;
  const of: { [name in Weights]: [take: (layer: Indexer) => Float32Array, dims: number[]] } = {
    query: [({ query }) => query, [heads, dim, query.length / (heads * dim)]],
    key: [({ key }) => key, [dim, key.length / dim]],
    keyBias: [({ keyBias }) => keyBias, [dim]],
    weight: [({ weight }) => weight, [groups * heads, key.length / dim]],
    weightBias: [({ weightBias }) => weightBias, [groups * heads]],
    queryGain: [({ queryNorm }) => queryNorm.weight, [dim]],
    queryShift: [({ queryNorm }) => queryNorm.bias, [dim]],
    keyGain: [({ keyNorm }) => keyNorm.weight, [dim]],
    keyShift: [({ keyNorm }) => keyNorm.bias, [dim]],
  };
  return Object.fromEntries(
    Object.entries(of).map(([name, [take, dims]]) => {
      const data = Float32Array.from(layers.flatMap((layer) => [...take(layer)]));
      return [inputs[name as Weights], { data, dims: [layers.length, ...dims] }];
    }),
  );
}

/** Outputs, of all layers, all S rows and the Q that ask: index keys [layers, S, d], queries [layers * n, Q, d], weights [layers, Q, groups * n], not scaled. */
export const indexOutputs = ["index.keys", "index.queries", "index.weights"] as const;

/** Bool [1] input: whether they are wanted; int64 [1] inputs: the first row that asks, and which one behind it is the next. */
export const WANT_INDEX = "want_index", INDEX_START = "index_start", INDEX_EVERY = "index_every";

/** Inputs and constants, once per graph; with the input `WANT_INDEX` where the graph may be run without. */
export function indexerInputs(
  graph: Graph,
  layers: number,
  { hidden, heads, headDim }: Pick<ModelConfig, "hidden" | "heads" | "headDim">,
): void {
  graph.input(INDEX_START, "int64", [1]);
  graph.input(INDEX_EVERY, "int64", [1]);
  const shapes: { [name in Weights]: (number | string)[] } = {
    query: ["index.n", "index.d", heads * headDim],
    key: ["index.d", hidden],
    keyBias: ["index.d"],
    weight: ["index.w", hidden],
    weightBias: ["index.w"],
    queryGain: ["index.d"],
    queryShift: ["index.d"],
    keyGain: ["index.d"],
    keyShift: ["index.d"],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    graph.input(inputs[name as Weights], "float32", [layers, ...shape]);
  }
  graph.int64s("index.width", [heads * headDim]);
  graph.int64s("index.zero", [0]);
  graph.int64s("index.one", [1]);
  graph.int64s("index.end", [Number.MAX_SAFE_INTEGER]);
  graph.int64s("index.axis1", [1]);
  graph.int64s("index.axes12", [1, 2]);
}

/**
 * Adds what a layer's rows give, without rows where it is not wanted.
 * @param x rows behind the layer's first norm [1, S, hidden]
 * @param query before rotation [1, S, ≥ heads * headDim]
 */
export function indexIfWanted(graph: Graph, layer: number, x: string, query: string): void {
  const yes = new Graph(`l${layer}.index`), no = new Graph(`l${layer}.noindex`);
  indexFacts(yes, layer, x, query).forEach((value, i) => {
    yes.output(value, "float32", dimsOf(i));
    const none = no.constant(`l${layer}.noindex.${i}`, "float32", [0, 0, 0], new Float32Array(0));
    no.output(none, "float32", dimsOf(i));
  });
  graph.node("If", [WANT_INDEX], indexOutputs.map((name) => `${name}.${layer}`), { then_branch: yes, else_branch: no });
}

/** Joins the layers' into the graph's outputs: an output costs more than its numbers, too. */
export function indexJoined(graph: Graph, layers: number): void {
  indexOutputs.forEach((name, i) => {
    const each = Array.from({ length: layers }, (_, layer) => `${name}.${layer}`);
    graph.output(graph.node("Concat", each, [name], { axis: 0 }), "float32", dimsOf(i));
  });
}

const dimsOf = (output: number) => [0, 1, 2].map((axis) => `${indexOutputs[output]}.${axis}`);

/** A layer's, of which `x` and `query` are as above. @returns index keys [1, S, d], queries [n, Q, d] and weights [1, Q, n] */
export function indexFacts(graph: Graph, layer: number, x: string, query: string): string[] {
  const p = `l${layer}.index.`, own = graph.int64s(`${p}layer`, [layer], []);
  const of = (name: Weights) => graph.node("Gather", [inputs[name], own], [`${p}${name}`], { axis: 0 });
  /** y = x Wᵀ, of several matrices at once where W is of three dimensions. */
  const product = (rows: string, matrix: string, name: string) =>
    graph.node("FusedMatMul", [rows, matrix], [`${p}${name}`], { transB: 1 }, "com.microsoft");
  const normed = (rows: string, gain: string, shift: string, name: string) =>
    graph.node("LayerNormalization", [rows, gain, shift], [`${p}${name}`], {
      axis: -1,
      epsilon: { float: INDEXER_EPSILON },
    });
  const keys = graph.node("Add", [product(x, of("key"), "k.raw"), of("keyBias")], [`${p}k.biased`]);
  const starts = graph.node("Concat", [INDEX_START, "index.zero"], [`${p}starts`], { axis: 0 });
  const ends = graph.node("Concat", ["index.end", "index.width"], [`${p}ends`], { axis: 0 });
  const steps = graph.node("Concat", [INDEX_EVERY, "index.one"], [`${p}steps`], { axis: 0 });
  const asking = graph.node("Slice", [query, starts, ends, "index.axes12", steps], [`${p}asking`]);
  const last = graph.node("Slice", [x, INDEX_START, "index.end", "index.axis1", INDEX_EVERY], [`${p}last`]);
  return [
    normed(keys, of("keyGain"), of("keyShift"), "k"),
    normed(product(asking, of("query"), "q.raw"), of("queryGain"), of("queryShift"), "q"),
    graph.node("Add", [product(last, of("weight"), "w.raw"), of("weightBias")], [`${p}w`]),
  ];
}
