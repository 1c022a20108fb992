/**
 * The `llama` architecture and its near kin (`qwen3`: queries and keys are normalised) as an ONNX graph that can run an evicted cache: rotation outside of attention with the caller's cos and sin rows (so that
 * positions are free), the cache of every KV head as an input, new K and V rows as small outputs that the caller appends.
 *
 * One graph serves all passes. `small` chooses between the two attentions (`attention.ts`), `score` asks for attention mass, `logits_start` for
 * logits: chunks that only fill the cache skip the last layer's remainder and the output matrix.
 */
import { decomposed, fused, type LayerWires, probabilities, type SharedWires } from "./attention.ts";
import { type Aggregation, massIfScored } from "./attention_mass.ts";
import { Graph, serializeModel } from "./onnx.ts";
import { pastInput, widened } from "./stored_past.ts";
import type { ModelConfig } from "./weights.ts";
import { type GraphFeatures, NO_FEATURES } from "./features.ts";
import { type WeightIndex, WeightWriter } from "./linear.ts";
import { newestInputs, newestOf, newestOutput } from "./newest_mass.ts";
import { indexerInputs, indexIfWanted, indexJoined, WANT_INDEX } from "./indexer_facts.ts";
import { cachedLayers, kindOf } from "./layers.ts";
import { latentInputs, withReadout } from "./latent_readout.ts";
import { queryMoments, valueNorms } from "./row_facts.ts";
import { afterAttention, embedded, headsNormed, type NextLayer, queriesKeysValues } from "./llama_blocks.ts";

const MS = "com.microsoft";

/** Names of the cache's inputs and of the new rows' outputs. */
export const names = {
  pastKey: (layer: number, head: number) => `past.k.${layer}.${head}`,
  pastValue: (layer: number, head: number) => `past.v.${layer}.${head}`,
  newKey: (layer: number, head: number) => `new.k.${layer}.${head}`,
  newValue: (layer: number, head: number) => `new.v.${layer}.${head}`,
  pastBias: (layer: number, head: number) => `past.b.${layer}.${head}`,
  /** What the rows of few-row passes do not see of sliding layers' rows: [1, 1, G * S, P], 0 or a large negative number. */
  slidingMask: "sliding.mask",
  /** Rows of cos and sin for sliding layers. */
  slidingCos: "sliding.cos",
  slidingSin: "sliding.sin",
  mass: (aggregation: Aggregation) => (layer: number, head: number) => `mass.${aggregation}.${layer}.${head}`,
  valueNorm: (layer: number, head: number) => `norm.${layer}.${head}`,
  querySum: (layer: number) => `query.sum.${layer}`,
  queryOuter: (layer: number) => `query.outer.${layer}`,
};

/** @returns the serialized model, whose weights lie in `location`, a file beside it. */
export function writeLlama(
  config: ModelConfig,
  index: WeightIndex,
  location: string,
  features: GraphFeatures,
): Uint8Array<ArrayBuffer> {
  const { layers, hidden, heads, kvHeads, headDim, vocab, slidingWindow } = config;
  const group = heads / kvHeads;
  const shape = { kvHeads, group, headDim }, cached = cachedLayers(config);
  const graph = new Graph("llama");
  const storedType = (layer: number) => kindOf(config, layer) === "sliding" ? "f32" : features.kvType;
  const weights = new WeightWriter(graph, index, location);

  graph.input("input_ids", "int64", [1, features.embeddings ? "I" : "S"]); // rows that are no tokens come behind
  graph.input("position_ids", "int64", [1, "S"]); // rows of cos and sin, not positions
  graph.input("cos", "float32", ["S", headDim / 2]);
  graph.input("sin", "float32", ["S", headDim / 2]);
  graph.input("small", "bool", [1]);
  graph.input("small_mask", "float32", ["GS", "S"]);
  if (features.valueNorms || features.queryMoments) graph.input("facts", "bool", [1]);
  if (features.queryMoments) graph.input("facts_start", "int64", [1]);
  if (features.mass.length > 0) {
    graph.input("score", "bool", [1]);
    graph.input("score_start", "int64", [1]);
    graph.input("score_mask", "float32", ["GR", "S"]);
  }
  if (features.newestMass) newestInputs(graph);
  if (features.indexer) {
    graph.input(WANT_INDEX, "bool", [1]);
    indexerInputs(graph, cached.length, config);
  }
  if (features.readout) latentInputs(graph, cached.length, shape);
  if (slidingWindow) {
    graph.input(names.slidingCos, "float32", ["S", headDim / 2]);
    graph.input(names.slidingSin, "float32", ["S", headDim / 2]);
    graph.input(names.slidingMask, "float32", [1, 1, "GS", "PS"]);
  }
  graph.input("want_logits", "bool", [1]);
  graph.input("logits_start", "int64", [1]);
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < kvHeads; head++) {
      for (const past of [names.pastKey(layer, head), names.pastValue(layer, head)]) {
        pastInput(graph, past, storedType(layer), `P.${layer}.${head}`, headDim);
      }
      if (!features.logBias || kindOf(config, layer) === "sliding") continue;
      graph.input(names.pastBias(layer, head), "float32", [1, 1, 1, `P.${layer}.${head}`]);
    }
  }

  graph.constant("one32", "int32", [1], Int32Array.of(1));
  graph.int64s("axis1", [1]);
  graph.int64s("axis2", [2]);
  graph.int64s("axes01", [0, 1]);
  graph.int64s("shape.group", [1, group, -1, 0]); // 0: slots, as they are
  graph.int64s("axes02", [0, 2]);
  const scored: SharedWires = {
    rowCount: "S32",
    rowCount64: "S64",
    firstRow: "score_start",
    mask: "score_mask",
    headsShape: graph.int64s("shape.heads", [1, kvHeads, -1, headDim]),
    querySplitShape: graph.int64s("shape.query", [-1, kvHeads, group, headDim]),
    outputSplitShape: graph.int64s("shape.o", [kvHeads, group, -1, headDim]),
    outputShape: graph.int64s("shape.out", [1, -1, heads * headDim]),
  };
  const all: SharedWires = { ...scored, firstRow: graph.int64s("zero", [0]), mask: "small_mask" };
  graph.node("Shape", ["position_ids"], ["S64"], { start: 1, end: 2 });
  graph.node("Cast", ["S64"], ["S32"], { to: 6 });
  graph.int64s("split.qkv", [(heads + kvHeads) * headDim, ...Array<number>(kvHeads).fill(headDim)]);
  graph.int64s("shape.flat", [1, -1, heads * headDim]);
  graph.int64s("shape.flat.k", [1, -1, kvHeads * headDim]);
  graph.int64s("split.q_k", [heads * headDim, kvHeads * headDim]);
  graph.int64s("split.qk", [heads * headDim, ...Array<number>(kvHeads).fill(headDim)]);
  graph.int64s("split.groups", Array<number>(kvHeads).fill(group * headDim));

  let { residual, x } = embedded(graph, weights, config, features);
  if (features.hidden) {
    graph.node("Identity", [residual], ["hidden.0"]);
    graph.output("hidden.0", "float32", [1, "S", hidden]);
  }

  const newestLayers: string[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const p = `l${layer}.`, w = `layers.${layer}.`;
    const each = (name: string) => Array.from({ length: kvHeads }, (_, h) => `${p}${name}.${h}`);
    const isLast = layer === layers - 1, kind = kindOf(config, layer), isSliding = kind === "sliding";
    // whose slots a policy chooses among; `place` is the layer's number there
    const place = cached.indexOf(layer), watched = isSliding ? NO_FEATURES : features;

    const qkv = queriesKeysValues(graph, weights, config, layer, x);
    const newValues = each("v");
    graph.node("Split", [qkv, "split.qkv"], [config.qkNorm ? `${p}qk.raw` : `${p}qk`, ...newValues], { axis: 2 });
    if (config.qkNorm) {
      graph.node("Split", [`${p}qk.raw`, "split.q_k"], [`${p}q.raw`, `${p}k.raw`], { axis: 2 });
      const normed = (which: "q" | "k", count: number, flat: string) =>
        headsNormed(graph, weights, config, layer, which, `${p}${which}.raw`, count, flat);
      graph.node("Concat", [normed("q", heads, "shape.flat"), normed("k", kvHeads, "shape.flat.k")], [`${p}qk`], {
        axis: 2,
      });
    }
    const turns = isSliding ? [names.slidingCos, names.slidingSin] : ["cos", "sin"];
    const turned = kind === "unrotated"
      ? `${p}qk`
      : graph.node("RotaryEmbedding", [`${p}qk`, "position_ids", ...turns], [`${p}qk.rot`], {
        num_heads: heads + kvHeads,
      }, MS);
    const newKeys = each("k");
    graph.node("Split", [turned, "split.qk"], [`${p}query`, ...newKeys], { axis: 2 });
    for (let h = 0; h < kvHeads; h++) {
      graph.node("Identity", [newKeys[h]!], [names.newKey(layer, h)]);
      graph.node("Identity", [newValues[h]!], [names.newValue(layer, h)]);
      graph.output(names.newKey(layer, h), "float32", [1, "S", headDim]);
      graph.output(names.newValue(layer, h), "float32", [1, "S", headDim]);
    }
    const wires: LayerWires = {
      query: `${p}query`,
      groupQueries: each("gq"),
      newKeys,
      newValues,
      pastKeys: newKeys.map((_, h) => names.pastKey(layer, h)),
      pastValues: newKeys.map((_, h) => names.pastValue(layer, h)),
      pastBias: isSliding
        ? newKeys.map(() => names.slidingMask)
        : features.logBias
        ? newKeys.map((_, h) => names.pastBias(layer, h))
        : null,
    };
    if (watched.valueNorms) {
      const norms = newValues.map((_, h) => names.valueNorm(layer, h));
      for (const norm of norms) graph.output(norm, "float32", ["F"]);
      valueNorms(graph, weights, p, `${w}self_attn.o_proj`, newValues, norms, shape);
    }
    if (watched.queryMoments) {
      graph.output(names.querySum(layer), "float32", ["H", headDim]);
      graph.output(names.queryOuter(layer), "float32", ["H", headDim, headDim]);
      queryMoments(graph, p, `${p}qk`, names.querySum(layer), names.queryOuter(layer), heads, shape);
    }

    if (watched.indexer) indexIfWanted(graph, place, x, `${p}qk`);

    const perHead = (name: (layer: number, head: number) => string) => newKeys.map((_, h) => name(layer, h));
    const mass = watched.mass.flatMap((aggregation) => perHead(names.mass(aggregation)));
    for (const output of mass) graph.output(output, "float32", ["T"]);

    const small = new Graph(`${p}small`), large = new Graph(`${p}large`);
    const type = storedType(layer);
    const within = (branch: Graph, prefix: string): LayerWires => ({
      ...wires,
      pastKeys: wires.pastKeys.map((name) => widened(branch, name, type, prefix)),
      pastValues: wires.pastValues.map((name) => widened(branch, name, type, prefix)),
    });
    const few = decomposed(small, `${p}few.`, within(small, `${p}few.`), all, shape), many = within(large, `${p}many.`);
    small.output(few.output, "float32", [1, "S", heads * headDim]);
    if (kvHeads > 1) large.node("Split", [wires.query, "split.groups"], wires.groupQueries, { axis: 2 });
    else large.node("Identity", [wires.query], wires.groupQueries);
    const seen = isSliding ? { ...shape, window: slidingWindow!.tokens } : shape;
    large.output(fused(large, `${p}many.`, many, all, seen), "float32", [1, "S", heads * headDim]);
    if (mass.length > 0) {
      const named = (branch: string) =>
        features.mass.map((aggregation) => ({
          aggregation,
          outputs: perHead(names.mass(aggregation)).map((name) => `${p}${branch}.${name}`),
        }));
      const fewMass = named("few"), manyMass = named("many");
      massIfScored(small, `${p}few.`, fewMass, () => few.weights);
      massIfScored(large, `${p}many.`, manyMass, (g) => probabilities(g, `${p}window.`, many, scored, shape));
      for (const { outputs } of fewMass) for (const output of outputs) small.output(output, "float32", ["T"]);
      for (const { outputs } of manyMass) for (const output of outputs) large.output(output, "float32", ["T"]);
    }
    const newest = watched.newestMass ? [newestOf(p, small, large, few.weights, group)] : [];
    newestLayers.push(...newest);
    graph.node("If", ["small"], [`${p}att`, ...mass, ...newest], { then_branch: small, else_branch: large });

    const attention = watched.readout ? withReadout(graph, place, `${p}att`, `${p}qk`) : `${p}att`;
    const finish = (g: Graph, writer: WeightWriter, next: NextLayer) =>
      afterAttention(g, writer, config, layer, attention, residual, next);

    if (!isLast) {
      const after = `residual.${layer + 1}`;
      x = finish(graph, weights, { norm: `layers.${layer + 1}.input_layernorm`, x: `x.${layer + 1}`, residual: after });
      residual = after;
      if (features.hidden) {
        graph.node("Identity", [residual], [`hidden.${layer + 1}`]);
        graph.output(`hidden.${layer + 1}`, "float32", [1, "S", hidden]);
      }
      continue;
    }
    const yes = new Graph("logits");
    const last = finish(yes, weights.within(yes), { norm: "norm", x: "final", residual: "final.sum" });
    const rows = yes.node("Slice", [last, "logits_start", "S64", "axis1"], ["final.rows"]);
    const outputs = [weights.within(yes).linear([config.tied ? "embed_tokens" : "lm_head"], rows, "logits.rows")];
    yes.output("logits.rows", "float32", [1, "R", vocab]);
    const no = new Graph("no_logits");
    no.output(no.constant("logits.none", "float32", [1, 0, vocab], new Float32Array(0)), "float32", [1, "R", vocab]);
    const results = ["logits"];
    graph.output("logits", "float32", [1, "R", vocab]);
    if (features.hidden) {
      yes.output(last, "float32", [1, "S", hidden]);
      no.output(no.constant("hidden.none", "float32", [1, 0, hidden], new Float32Array(0)), "float32", [
        1,
        "S",
        hidden,
      ]);
      outputs.push(last);
      results.push(`hidden.${layers}`);
      graph.output(`hidden.${layers}`, "float32", [1, "S", hidden]);
    }
    graph.node("If", ["want_logits"], results, { then_branch: yes, else_branch: no });
  }
  if (features.indexer) indexJoined(graph, cached.length);
  if (features.newestMass) newestOutput(graph, newestLayers, cached.length * kvHeads, group);
  return serializeModel(graph);
}
