/**
 * What a latent memory (`compensate/latent_state.ts`) adds to the attention of every row, as graph pieces: o + g m(q). Its state comes as inputs of each
 * layer, so the graph is the same for any pack of weights, and whatever rank its memory has.
 */
import type { AttentionShape } from "./attention.ts";
import { type Latent, LATENT_EPSILON, type LatentState } from "../compensate/latent_state.ts";
import type { DenseTensor } from "./engine.ts";
import type { Graph } from "./onnx.ts";

export const latentNames = {
  /** [headDim, r] */
  phi: (layer: number) => `latent.phi.${layer}`,
  /** [kvHeads, r, headDim] */
  sums: (layer: number) => `latent.sums.${layer}`,
  /** [kvHeads, r, 1] */
  norms: (layer: number) => `latent.norms.${layer}`,
  /** [1] */
  gate: (layer: number) => `latent.gate.${layer}`,
};

/** A layer's weights and state as the inputs want them. @param kvHeads heads of the layer */
export function latentFeeds(
  layer: number,
  { phi, gate }: Latent,
  state: LatentState,
  kvHeads: number,
): Record<string, DenseTensor> {
  const { rank, headDim } = state, { sums, norms } = state.run(layer * kvHeads, kvHeads);
  return {
    [latentNames.phi(layer)]: { data: phi, dims: [headDim, rank] },
    [latentNames.sums(layer)]: { data: sums, dims: [kvHeads, rank, headDim] },
    [latentNames.norms(layer)]: { data: norms, dims: [kvHeads, rank, 1] },
    [latentNames.gate(layer)]: { data: Float32Array.of(state.visible ? gate : 0), dims: [1] },
  };
}

/** Constants that all layers share, once per graph. */
export function latentConstants(graph: Graph, { kvHeads, group, headDim }: AttentionShape): void {
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
  { kvHeads, headDim }: AttentionShape,
): string {
  const p = `l${layer}.latent.`, { phi, sums, norms, gate } = latentNames;
  graph.input(phi(layer), "float32", [headDim, "latent.r"]);
  graph.input(sums(layer), "float32", [kvHeads, "latent.r", headDim]);
  graph.input(norms(layer), "float32", [kvHeads, "latent.r", 1]);
  graph.input(gate(layer), "float32", [1]);
  const own = graph.node("Slice", [query, "latent.from", "latent.to", "latent.axis"], [`${p}own`]);
  // rows of a KV head together: [kvHeads, S * group, headDim]
  const split = graph.node("Reshape", [own, "latent.split"], [`${p}split`]);
  const byHead = graph.node("Transpose", [split], [`${p}byhead`], { perm: [1, 0, 2] });
  const rows = graph.node("Reshape", [byHead, "latent.rows"], [`${p}rows`]);
  const features = graph.node("MatMul", [rows, phi(layer)], [`${p}features`]);
  const sum = graph.node("MatMul", [features, sums(layer)], [`${p}sum`]);
  const squares = graph.node("Mul", [features, features], [`${p}squares`]);
  const divisor = graph.node("MatMul", [squares, norms(layer)], [`${p}divisor`]);
  const bounded = graph.node("Max", [divisor, "latent.epsilon"], [`${p}bounded`]);
  const share = graph.node("Div", [gate(layer), bounded], [`${p}share`]);
  const read = graph.node("Mul", [sum, share], [`${p}read`]);
  const heads = graph.node("Reshape", [read, "latent.heads"], [`${p}heads`]);
  const byRow = graph.node("Transpose", [heads], [`${p}byrow`], { perm: [1, 0, 2] });
  const flat = graph.node("Reshape", [byRow, "latent.out"], [`${p}flat`]);
  return graph.node("Add", [attention, flat], [`${p}o`]);
}
