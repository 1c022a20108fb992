/**
 * The decoder of `graph_llama.ts` as a graph that ONNX Runtime runs on a GPU to its last node: no branches, and no arithmetic on shapes, which it would
 * do on the CPU. What a pass does not want has no rows: nodes without rows dispatch nothing.
 *
 * Attention is one GroupQueryAttention node per layer over a cache [1, kvHeads, C, slot] that it fills in place. Its KV heads end at the same slot; where
 * they hold different numbers of slots (`features.logBias`), those before a head's first are hidden by their bias, which rides in the slots' own rows
 * (`gpu_cache.ts`). Dispatches per layer for a chunk and for a token, float32, two KV heads, all with the same logits:
 *
 * | form | chunk | token | beside that |
 * | --- | --- | --- | --- |
 * | equal heads | 12 | 15 | |
 * | bias in the slots | 14 | 17 | slots longer by 8 numbers |
 * | `attention_bias` | 13 | 16 | heads × rows × slots numbers per layer, sent and spread out in every pass |
 * | a node per KV head | 18 | 22 | more with every KV head, and each too small to fill a GPU |
 *
 * Over a cache in half precision (`features.kvType`) attention computes in it, and nothing else does: hidden states of some models are larger than f16's
 * largest number. Its inputs are cast before they are rotated, all at once where nothing must be normalised before: 2 dispatches more, else 4.
 *
 * Over a cache in int8 attention computes in float32 on rows that were widened for it (`gpu_past.ts`): 2 dispatches more, with a bias in the slots 4.
 */
import { BIAS_DIMS } from "../gpu_cache.ts";
import { sharedInputs, widenedPast } from "./gpu_past.ts";
import { type GraphFeatures, NO_FEATURES } from "./features.ts";
import { type WeightIndex, WeightWriter } from "./linear.ts";
import { cachedLayers, kindOf } from "./layers.ts";
import { latentInputs, withReadout } from "./latent_readout.ts";
import { afterAttention, embedded, headsNormed, queriesKeysValues } from "./llama_blocks.ts";
import { Graph, serializeModel } from "./onnx.ts";
import type { ModelConfig } from "./weights.ts";

const MS = "com.microsoft";
/** `TensorProto.DataType`, as Cast names them. */
const FLOAT32 = 1, FLOAT16 = 10;

/** Names of a layer's inputs and outputs, and of the inputs that carry the extra dimensions. */
export const webgpuNames = {
  pastKey: (layer: number) => `past.k.${layer}`,
  pastValue: (layer: number) => `past.v.${layer}`,
  presentKey: (layer: number) => `present.k.${layer}`,
  presentValue: (layer: number) => `present.v.${layer}`,
  /** New rows [1, S, kvHeads * slot], of a cache in int8. */
  newKey: (layer: number) => `new.k.${layer}`,
  newValue: (layer: number) => `new.v.${layer}`,
  /** Index of the last slot that the pass fills. */
  last: (layer: number) => `last.${layer}`,
  /** How many slots that makes. */
  total: (layer: number) => `total.${layer}`,
  /** Rotated queries from row `query_start` on: [1, Q, heads * slot], as wide as the slots, so that their product with a key has its bias. */
  query: (layer: number) => `query.${layer}`,
  /** Queries of all rows before rotation. */
  rawQuery: (layer: number) => `query.raw.${layer}`,
  hidden: (layer: number) => `hidden.${layer}`,
  /** Rows behind the layer's first norm. */
  normed: (layer: number) => `normed.${layer}`,
  /** Rows of cos and sin for sliding layers. */
  slidingCos: "sliding.cos",
  slidingSin: "sliding.sin",
};

/** Whether stages will ask for rotated queries. */
export function givesQueries(features: GraphFeatures): boolean {
  return features.mass.length > 0 || features.newestMass;
}

/** Whether stages will ask for queries before rotation. */
export function givesRawQueries(features: GraphFeatures): boolean {
  return features.queryMoments || features.indexer;
}

/** Numbers of a slot's key, and of its value, in the cache. */
export function slotDim(config: ModelConfig, features: GraphFeatures): number {
  return config.headDim + (features.logBias ? BIAS_DIMS : 0);
}

/**
 * Inputs [1, S, heads, BIAS_DIMS] with the extra dimensions of a slot: `queries` heads, which meet the biases of slots, then heads of zeros.
 * Queries, keys and values are widened together where nothing must be normalised before.
 */
export function wideInputs(
  { heads, kvHeads, qkNorm }: ModelConfig,
): { name: string; heads: number; queries: number }[] {
  if (!qkNorm) return [{ name: "wide", heads: heads + 2 * kvHeads, queries: heads }];
  return [{ name: "wide.q", heads, queries: heads }, { name: "wide.kv", heads: kvHeads, queries: 0 }];
}

/** @returns the serialized model, whose weights lie in `location`, a file beside it. */
export function writeLlamaWebgpu(
  config: ModelConfig,
  index: WeightIndex,
  location: string,
  features: GraphFeatures,
): Uint8Array<ArrayBuffer> {
  const { layers, hidden, heads, kvHeads, headDim, vocab, slidingWindow } = config, names = webgpuNames;
  const graph = new Graph("llama"), isInt8 = features.kvType === "int8";
  if (isInt8) sharedInputs(graph, kvHeads, features.logBias);
  const widePast = (name: (layer: number) => string, isKey: boolean) =>
    isInt8
      ? new Map(
        cachedLayers(config).map((layer) => {
          const past = widenedPast(graph, name(layer), config, { isWide: features.logBias, isKey });
          return [layer, past] as const;
        }),
      )
      : null;
  const wideKeys = widePast(names.pastKey, true), wideValues = widePast(names.pastValue, false);
  const weights = new WeightWriter(graph, index, location, "Gemm");
  const cached = cachedLayers(config), all = features, slotOfCached = slotDim(config, features);

  graph.input("input_ids", "int64", [1, features.embeddings ? "I" : "S"]); // rows that are no tokens come behind
  graph.input("position_ids", "int64", [1, "S"]); // rows of cos and sin, not positions
  const isHalf = features.kvType === "f16", stored = isHalf ? "float16" : "float32";
  for (const turns of ["cos", "sin", ...(slidingWindow ? [names.slidingCos, names.slidingSin] : [])]) {
    graph.input(turns, stored, ["S", headDim / 2]);
  }
  graph.input("logits_rows", "int64", ["R"]);
  if (givesQueries(features)) graph.input("query_start", "int64", [1]);
  const wideOfCached = features.logBias ? wideInputs(config) : [];
  for (const { name, heads } of wideOfCached) graph.input(name, "float32", [1, "S", heads, BIAS_DIMS]);
  // normalised first or widened first
  for (const width of new Set([headDim, config.qkNorm ? headDim : slotOfCached])) {
    graph.int64s(`split.qkv.${width}`, [heads * width, kvHeads * width, kvHeads * width]);
  }
  graph.int64s("shape.flat", [1, -1, heads * headDim]);
  graph.int64s("shape.flat.k", [1, -1, kvHeads * headDim]);
  graph.int64s("shape.out", [1, -1, heads, slotOfCached]);
  if (features.readout) latentInputs(graph, cached.length, { kvHeads, group: heads / kvHeads, headDim });
  graph.int64s("end", [Number.MAX_SAFE_INTEGER]);
  graph.int64s("axis1", [1]);
  for (const [name, value] of [["own.from", 0], ["own.to", headDim], ["own.axis", 3]] as const) {
    graph.int64s(name, [value]);
  }
  for (const count of new Set([heads, kvHeads, heads + 2 * kvHeads])) {
    graph.int64s(`shape.heads.${count}`, [1, -1, count, headDim]);
    graph.int64s(`shape.wide.${count}`, [1, -1, count * slotOfCached]);
  }
  /** The heads' own columns of rows that are as wide as slots. */
  const narrowed = (rows: string): string => {
    const perHead = graph.node("Reshape", [rows, "shape.out"], [`${rows}.all`]);
    const own = graph.node("Slice", [perHead, "own.from", "own.to", "own.axis"], [`${rows}.own`]);
    return graph.node("Reshape", [own, "shape.flat"], [`${rows}.flat`]);
  };
  /** Rows of `count` heads with `BIAS_DIMS` more dimensions each, those of the input `more`. */
  const widened = (rows: string, count: number, more: string): string => {
    const perHead = graph.node("Reshape", [rows, `shape.heads.${count}`], [`${rows}.heads`]);
    const joined = graph.node("Concat", [perHead, more], [`${rows}.more`], { axis: 3 });
    return graph.node("Reshape", [joined, `shape.wide.${count}`], [`${rows}.wide`]);
  };

  /** Rows in what the cache stores, and back: attention is all that computes in it. */
  const asStored = (rows: string): string =>
    isHalf ? graph.node("Cast", [rows], [`${rows}.f16`], { to: FLOAT16 }) : rows;
  const asFloats = (rows: string, name = `${rows}.f32`): string =>
    isHalf ? graph.node("Cast", [rows], [name], { to: FLOAT32 }) : rows;

  let { residual, x } = embedded(graph, weights, config, features);
  for (let layer = 0; layer < layers; layer++) {
    const p = `l${layer}.`, isLast = layer === layers - 1, kind = kindOf(config, layer), isSliding = kind === "sliding";
    // no policy looks at sliding layers, and none of their slots has a bias; `place` is the layer's number among the others
    const features = isSliding ? NO_FEATURES : all, place = cached.indexOf(layer);
    const slot = isSliding ? headDim : slotOfCached, wide = isSliding ? [] : wideOfCached;
    if (all.hidden) {
      graph.node("Identity", [residual], [names.hidden(layer)]);
      graph.output(names.hidden(layer), "float32", [1, "S", hidden]);
    }
    if (features.indexer) {
      graph.node("Identity", [x], [names.normed(layer)]);
      graph.output(names.normed(layer), "float32", [1, "S", hidden]);
    }
    graph.input(names.last(layer), "int32", [1]);
    graph.input(names.total(layer), "int32", [1]);
    const isWidened = isInt8 && !isSliding;
    if (isWidened) {
      for (const rows of [names.newKey(layer), names.newValue(layer)]) {
        graph.output(rows, "float32", [1, "S", kvHeads * slot]);
      }
    } else {
      for (const past of [names.pastKey(layer), names.pastValue(layer)]) {
        graph.input(past, stored, [1, kvHeads, isSliding ? "CS" : "C", slot]);
      }
      for (const present of [names.presentKey(layer), names.presentValue(layer)]) {
        graph.output(present, stored, [1, kvHeads, isSliding ? "CS" : "C", slot]);
      }
    }

    let qkv = queriesKeysValues(graph, weights, config, layer, x);
    if (wide.length === 1) qkv = widened(qkv, wide[0]!.heads, wide[0]!.name);
    if (!config.qkNorm) qkv = asStored(qkv);
    // new rows are outputs that attention takes too: copies made for nobody else would be made last, and wait for it
    const [newKey, newValue] = isWidened ? [names.newKey(layer), names.newValue(layer)] : [`${p}k`, `${p}v.raw`];
    let parts = [`${p}q.raw`, `${p}k.raw`, wide.length === 2 ? `${p}v.raw` : newValue];
    graph.node("Split", [qkv, `split.qkv.${config.qkNorm ? headDim : slot}`], parts, { axis: 2 });
    if (config.qkNorm) {
      parts[0] = headsNormed(graph, weights, config, layer, "q", parts[0]!, heads, "shape.flat");
      parts[1] = headsNormed(graph, weights, config, layer, "k", parts[1]!, kvHeads, "shape.flat.k");
    }
    if (wide.length === 2) {
      parts = parts.map((rows, i) => i === 0 ? widened(rows, heads, "wide.q") : widened(rows, kvHeads, "wide.kv"));
    }
    if (config.qkNorm) parts = parts.map(asStored);
    const [rawQuery, rawKey] = parts as [string, string],
      copied = (rows: string, name: string) =>
        isWidened && rows !== name ? graph.node("Identity", [rows], [name]) : rows;
    const value = copied(parts[2]!, newValue);
    const turns = isSliding ? [names.slidingCos, names.slidingSin] : ["cos", "sin"];
    const rotated = (rows: string, name: string, count: number) =>
      graph.node("RotaryEmbedding", [rows, "position_ids", ...turns], [name], {
        num_heads: count,
        ...(slot > headDim ? { rotary_embedding_dim: headDim } : {}),
      }, MS);
    const isStill = kind === "unrotated";
    const query = isStill ? rawQuery : rotated(rawQuery, `${p}q`, heads);
    const key = isStill ? copied(rawKey, newKey) : rotated(rawKey, newKey, kvHeads);
    const plainQuery = givesRawQueries(features) || features.readout ? asFloats(rawQuery) : rawQuery;
    if (givesRawQueries(features)) {
      graph.node("Identity", [plainQuery], [names.rawQuery(layer)]);
      graph.output(names.rawQuery(layer), "float32", [1, "S", heads * slot]);
    }
    if (givesQueries(features)) {
      const rows = [query, "query_start", "end", "axis1"];
      const asking = graph.node("Slice", rows, [isHalf ? `${p}q.asking` : names.query(layer)]);
      if (isHalf) asFloats(asking, names.query(layer));
      graph.output(names.query(layer), "float32", [1, "Q", heads * slot]);
    }

    const pastKey = wideKeys?.get(layer) ?? names.pastKey(layer);
    const pastValue = wideValues?.get(layer) ?? names.pastValue(layer);
    const cache = [pastKey, pastValue, names.last(layer), names.total(layer)];
    let attention = graph.node(
      "GroupQueryAttention",
      [query, key, value, ...cache],
      [`${p}att`, names.presentKey(layer), names.presentValue(layer)],
      {
        num_heads: heads,
        kv_num_heads: kvHeads,
        do_rotary: 0,
        scale: { float: 1 / Math.sqrt(headDim) },
        ...(isSliding ? { local_window_size: slidingWindow!.tokens } : {}),
      },
      MS,
    );
    attention = asFloats(attention);
    if (slot > headDim) attention = narrowed(attention);
    if (features.readout) {
      attention = withReadout(graph, place, attention, slot > headDim ? narrowed(plainQuery) : plainQuery);
    }
    if (isLast) { // what follows serves the logits only
      attention = graph.node("Gather", [attention, "logits_rows"], [`${p}att.rows`], { axis: 1 });
      residual = graph.node("Gather", [residual, "logits_rows"], [`${p}residual.rows`], { axis: 1 });
    }
    const next = isLast
      ? { norm: "norm", x: "final", residual: "final.sum" }
      : { norm: `layers.${layer + 1}.input_layernorm`, x: `x.${layer + 1}`, residual: `residual.${layer + 1}` };
    x = afterAttention(graph, weights, config, layer, attention, residual, next);
    residual = next.residual;
  }
  if (features.hidden) {
    graph.node("Identity", [x], [names.hidden(layers)]);
    graph.output(names.hidden(layers), "float32", [1, "R", hidden]);
  }
  weights.linear([config.tied ? "embed_tokens" : "lm_head"], x, "logits");
  graph.output("logits", "float32", [1, "R", vocab]);
  return serializeModel(graph);
}
