/**
 * Gemma 3, its text models: most layers see the newest tokens only, with rotary positions of another base; queries and keys are normalised per head, and
 * attention and MLP behind as well; embeddings are scaled; the MLP's gate is a GELU.
 */
import type { LayerKind, ModelConfig } from "../weights.ts";
import type { Architecture, Keys } from "./architecture.ts";

/** Every sixth layer sees everything, where a file states no other pattern. */
const PERIOD = 6;
/** Base of the sliding layers' rotary frequencies, where a file states none. */
const LOCAL_THETA = 10000;
/** Longest pattern of layers that is repeated: as many as any model has. */
const MOST_LAYERS = 4096;

function gemma(
  plain: ModelConfig,
  layerKinds: LayerKind[],
  window: () => NonNullable<ModelConfig["slidingWindow"]>,
): ModelConfig {
  return {
    ...plain,
    layerKinds,
    slidingWindow: layerKinds.includes("sliding") ? window() : null,
    qkNorm: true,
    normsBehind: true,
    activation: "gelu",
    embeddingScale: Math.sqrt(plain.hidden),
  };
}

/** The last of every `period` layers sees everything. */
function everySo(period: number): LayerKind[] {
  return Array.from({ length: period }, (_, layer) => layer === period - 1 ? "full" : "sliding");
}

function kindsOf(keys: Keys, key: string, pattern: unknown, layers: number): LayerKind[] {
  const isPeriod = typeof pattern === "number" && Number.isInteger(pattern) && pattern >= 1 && pattern <= MOST_LAYERS;
  if (isPeriod) return everySo(pattern);
  const known = new Map<unknown, LayerKind>([
    [true, "sliding"],
    ["sliding_attention", "sliding"],
    [false, "full"],
    ["full_attention", "full"],
  ]);
  const kinds = Array.isArray(pattern) && pattern.length === layers ? pattern.map((kind) => known.get(kind)) : [];
  if (kinds.length > 0 && !kinds.includes(undefined)) return kinds as LayerKind[];
  throw keys.refuse(key, pattern, `a number of layers, or a list of ${layers} kinds, works`);
}

/** What differs from 1 / √headDim, which every family's queries are multiplied by. */
const factor = ({ headDim }: ModelConfig, scale: number) => scale * Math.sqrt(headDim);

export const gemma3: Architecture = {
  name: "gemma3",
  gguf: {
    isInterleaved: false,
    names: {
      "post_attention_norm.weight": "post_attention_layernorm",
      "ffn_norm.weight": "pre_feedforward_layernorm",
      "post_ffw_norm.weight": "post_feedforward_layernorm",
    },
    config(plain, keys) {
      const key = "attention.sliding_window_pattern", { layers, hidden, heads, headDim } = plain;
      refuseSoftcaps(keys, "attn_logit_softcapping", "final_logit_softcapping");
      // llama.cpp knows the model of 27 billion weights by its layers: its queries are scaled by their share of the hidden size
      const scale = layers === 62 ? 1 / Math.sqrt(hidden / heads) : 1 / Math.sqrt(headDim);
      return {
        ...gemma(plain, kindsOf(keys, key, keys.list(key) ?? PERIOD, layers), () => ({
          tokens: keys.whole("attention.sliding_window"),
          ropeTheta: keys.positive("rope.freq_base_swa", LOCAL_THETA),
        })),
        queryFactor: factor(plain, keys.positive("attention.scale", scale)),
      };
    },
  },
  huggingFace: {
    modelType: "gemma3_text",
    gainsPlus: 1,
    config(plain, keys) {
      refuseSoftcaps(keys, "attn_logit_softcapping", "final_logit_softcapping");
      keys.only("use_bidirectional_attention", false, null);
      const period = keys.value("sliding_window_pattern") ?? keys.value("_sliding_window_pattern") ?? PERIOD;
      const sliding = (keys.value("rope_parameters") as Record<string, Record<string, unknown>> | undefined)
        ?.["sliding_attention"];
      if (sliding && (sliding["rope_type"] ?? "default") !== "default") {
        throw keys.refuse("rope_parameters.sliding_attention.rope_type", sliding["rope_type"], '"default" works');
      }
      const stated = sliding?.["rope_theta"];
      return {
        ...gemma(plain, kindsOf(keys, "layer_types", keys.value("layer_types") ?? period, plain.layers), () => ({
          tokens: keys.whole("sliding_window"),
          ropeTheta: typeof stated === "number" && stated > 0 && stated < Infinity
            ? stated
            : keys.positive("rope_local_base_freq", LOCAL_THETA),
        })),
        tied: keys.value("tie_word_embeddings") !== false,
        ropeTheta: keys.value("rope_parameters") ? plain.ropeTheta : keys.positive("rope_theta", 1e6),
        queryFactor: factor(plain, 1 / Math.sqrt(keys.positive("query_pre_attn_scalar", 256))),
      };
    },
  },
};

/** Bounds of logits, which Gemma 2 had. */
function refuseSoftcaps(keys: Keys, ...names: string[]): void {
  for (const name of names) if (keys.value(name)) throw keys.refuse(name, keys.value(name), "models without it work");
}
