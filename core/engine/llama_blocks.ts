/** The parts of a decoder that are the same whatever computes attention: embedding, norms, the projections around attention, the MLP. */
import type { GraphFeatures } from "./features.ts";
import type { Graph } from "./onnx.ts";
import type { WeightWriter } from "./linear.ts";
import type { ModelConfig } from "./weights.ts";

const MS = "com.microsoft";

/** Input [1, E, hidden] of rows that are no tokens. */
export const SOFT_ROWS = "soft_rows";

/** The residual stream [1, S, hidden] of the input `input_ids`, and `x`, what the first layer's projections take. */
export function embedded(
  graph: Graph,
  weights: WeightWriter,
  config: ModelConfig,
  features: GraphFeatures,
): { residual: string; x: string } {
  const ids = features.embeddings ? "residual.ids" : "residual.0", { embeddingScale } = config;
  const residual = weights.embedding("embed_tokens", "input_ids", embeddingScale === 1 ? ids : "embedding");
  if (embeddingScale !== 1) {
    const scale = graph.constant("embedding.scale", "float32", [], Float32Array.of(embeddingScale));
    graph.node("Mul", [residual, scale], [ids]);
  }
  if (features.embeddings) {
    graph.input(SOFT_ROWS, "float32", [1, "E", config.hidden]);
    graph.node("Concat", [ids, SOFT_ROWS], ["residual.0"], { axis: 1 });
  }
  const gain = weights.vector("layers.0.input_layernorm");
  const x = graph.node("SimplifiedLayerNormalization", ["residual.0", gain], ["x.0"], norm(config));
  return { residual: "residual.0", x };
}

/** A layer's matrices that make queries, keys and values of the same rows. */
export function qkvNames(layer: number): string[] {
  return ["q", "k", "v"].map((which) => `layers.${layer}.self_attn.${which}_proj`);
}

/** Queries, keys and values of all heads side by side [1, S, (heads + 2 kvHeads) * headDim], neither normalised nor turned. */
export function queriesKeysValues(
  graph: Graph,
  weights: WeightWriter,
  config: ModelConfig,
  layer: number,
  x: string,
): string {
  const p = `l${layer}.`, names = qkvNames(layer);
  if (!config.qkvBias) return weights.linear(names, x, `${p}qkv`);
  const product = weights.linear(names, x, `${p}qkv.product`);
  return graph.node("Add", [product, weights.vector(...names.map((name) => `${name}.bias`))], [`${p}qkv`]);
}

/**
 * Queries or keys [1, S, count * headDim] normalised per head, in the same shape.
 * @param flat name of the int64 shape [1, -1, count * headDim]
 */
export function headsNormed(
  graph: Graph,
  weights: WeightWriter,
  config: ModelConfig,
  layer: number,
  which: "q" | "k",
  rows: string,
  count: number,
  flat: string,
): string {
  const p = `l${layer}.${which}`, gain = weights.vector(`layers.${layer}.self_attn.${which}_norm`);
  const perHead = graph.node("Reshape", [rows, graph.int64s(`${p}.split`, [1, -1, count, config.headDim])], [
    `${p}.perhead`,
  ]);
  const out = graph.node("SimplifiedLayerNormalization", [perHead, gain], [`${p}.normed`], norm(config));
  return graph.node("Reshape", [out, flat], [`${p}.flat`]);
}

/** What a layer hands on: the gain of the norm that comes after it, and the names of the normed rows and of the residual stream. */
export interface NextLayer {
  norm: string;
  x: string;
  residual: string;
}

/** Everything of a layer after its attention (rows [1, S, heads * headDim]); returns `next.x`. */
export function afterAttention(
  graph: Graph,
  weights: WeightWriter,
  config: ModelConfig,
  layer: number,
  attention: string,
  residual: string,
  next: NextLayer,
): string {
  const p = `l${layer}.`, w = `layers.${layer}.`;
  const normalise = (residual: string, x: string, gain: string, out: string, sum: string) =>
    graph.node("SkipSimplifiedLayerNormalization", [residual, x, weights.vector(gain)], [out, "", "", sum], {
      epsilon: { float: config.normEps },
    }, MS);
  const behind = (x: string, gain: string) =>
    config.normsBehind
      ? graph.node("SimplifiedLayerNormalization", [x, weights.vector(gain)], [`${x}.normed`], norm(config))
      : x;
  const o = weights.linear([`${w}self_attn.o_proj`], attention, `${p}o`);
  const inFront = config.normsBehind ? "pre_feedforward_layernorm" : "post_attention_layernorm";
  const h = normalise(residual, behind(o, `${w}post_attention_layernorm`), w + inFront, `${p}h`, `${p}mid`);
  const gateUp = weights.linear([`${w}mlp.gate_proj`, `${w}mlp.up_proj`], h, `${p}gu`);
  const split = graph.int64s(`${p}split.ffn`, [config.ffn, config.ffn]);
  graph.node("Split", [gateUp, split], [`${p}gate`, `${p}up`], { axis: 2 });
  const through = config.activation === "gelu"
    ? graph.node("FastGelu", [`${p}gate`], [`${p}gelu`], {}, MS)
    : graph.node("QuickGelu", [`${p}gate`], [`${p}silu`], { alpha: { float: 1 } }, MS); // x * sigmoid(x)
  graph.node("Mul", [through, `${p}up`], [`${p}act`]);
  const down = weights.linear([`${w}mlp.down_proj`], `${p}act`, `${p}down`);
  return normalise(`${p}mid`, behind(down, `${w}post_feedforward_layernorm`), next.norm, next.x, next.residual);
}

function norm(config: ModelConfig) {
  return { axis: -1, stash_type: 1, epsilon: { float: config.normEps } };
}
