/**
 * What a latent memory (`compensate/latent_state.ts`) adds to the attention of every row, as graph pieces: o + g m(q). Weights and state are inputs, so the
 * graph is the same for any pack of weights, and whatever rank its memory has; one of each for all layers, as an input costs more than a copy of its numbers.
 */
import type { AttentionShape } from "./attention.ts";
import { type Latent, LATENT_EPSILON, type LatentState } from "../compensate/latent_state.ts";
import type { DenseTensor } from "./engine.ts";
import type { Graph } from "./onnx.ts";

/** Inputs, of all layers: [layers, headDim, r], [layers, 1, 1], [layers * kvHeads, r, headDim], [layers * kvHeads, r, 1]. */
const inputs = ["latent.phi", "latent.gate", "latent.sums", "latent.norms"] as const;

/** The layers' weights as the inputs want them. */
export function latentWeights(layers: readonly Latent[], headDim: number): Record<string, DenseTensor> {
  const phi = Float32Array.from(layers.flatMap((layer) => [...layer.phi]));
  return {
    "latent.phi": { data: phi, dims: [layers.length, headDim, phi.length / (layers.length * headDim)] },
    "latent.gate": { data: Float32Array.from(layers, ({ gate }) => gate), dims: [layers.length, 1, 1] },
  };
}

/** What the memory holds, as the inputs want it: views. */
export function latentFeeds({ sums, norms, heads, rank, headDim }: LatentState): Record<string, DenseTensor> {
  return {
    "latent.sums": { data: sums, dims: [heads, rank, headDim] },
    "latent.norms": { data: norms, dims: [heads, rank, 1] },
  };
}

/** Inputs and constants, once per graph. */
export function latentInputs(graph: Graph, layers: number, { kvHeads, group, headDim }: AttentionShape): void {
  const heads = layers * kvHeads,
    dims = [[layers, headDim, "latent.r"], [layers, 1, 1], [heads, "latent.r", headDim], [
      heads,
      "latent.r",
      1,
    ]];
  inputs.forEach((name, i) => {
    graph.input(name, "float32", dims[i]!);
    const perLayer = Array.from({ length: layers }, (_, layer) => `${name}.${layer}`);
    graph.node("Split", [name], perLayer, { axis: 0, num_outputs: layers });
  });
  graph.constant("latent.epsilon", "float32", [1], Float32Array.of(LATENT_EPSILON));
  graph.int64s("latent.from", [0]);
  graph.int64s("latent.to", [kvHeads * group * headDim]);
  graph.int64s("latent.axis", [2]);
  graph.int64s("latent.split", [-1, kvHeads, group * headDim]);
  graph.int64s("latent.rows", [kvHeads, -1, headDim]);
  graph.int64s("latent.heads", [kvHeads, -1, group * headDim]);
  graph.int64s("latent.out", [1, -1, kvHeads * group * headDim]);
}

/**
 * @param attention output of the layer's attention [1, S, heads * headDim]
 * @param query before rotation [1, S, ≥ heads * headDim]
 * @returns [1, S, heads * headDim]
 */
export function withReadout(
  graph: Graph,
  layer: number,
  attention: string,
  query: string,
): string {
  const p = `l${layer}.latent.`,
    [phi, gate, sums, norms] = inputs.map((name) => `${name}.${layer}`) as [
      string,
      string,
      string,
      string,
    ];
  const own = graph.node("Slice", [query, "latent.from", "latent.to", "latent.axis"], [`${p}own`]);
  // rows of a KV head together: [kvHeads, S * group, headDim]
  const split = graph.node("Reshape", [own, "latent.split"], [`${p}split`]);
  const byHead = graph.node("Transpose", [split], [`${p}byhead`], { perm: [1, 0, 2] });
  const rows = graph.node("Reshape", [byHead, "latent.rows"], [`${p}rows`]);
  const features = graph.node("MatMul", [rows, phi], [`${p}features`]);
  const sum = graph.node("MatMul", [features, sums], [`${p}sum`]);
  const squares = graph.node("Mul", [features, features], [`${p}squares`]);
  const divisor = graph.node("MatMul", [squares, norms], [`${p}divisor`]);
  const bounded = graph.node("Max", [divisor, "latent.epsilon"], [`${p}bounded`]);
  const share = graph.node("Div", [gate, bounded], [`${p}share`]);
  const read = graph.node("Mul", [sum, share], [`${p}read`]);
  const heads = graph.node("Reshape", [read, "latent.heads"], [`${p}heads`]);
  const byRow = graph.node("Transpose", [heads], [`${p}byrow`], { perm: [1, 0, 2] });
  const flat = graph.node("Reshape", [byRow, "latent.out"], [`${p}flat`]);
  return graph.node("Add", [attention, flat], [`${p}o`]);
}
