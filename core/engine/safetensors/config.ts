/**
 * Hugging Face `config.json` of Llama models, in the form of transformers 5 (`rope_parameters`) and in the classic one
 * (`rope_theta`, `rope_scaling`).
 */
import { ModelError } from "../../errors.ts";
import { SUPPORTED_ARCHITECTURES } from "../llama_shape.ts";
import type { ModelConfig, RopeScaling } from "../weights.ts";

type Json = Record<string, unknown>;

/**
 * @param path where `config` was read, for messages
 * @param folderName the model's name when `config` states none
 * @throws {ModelError} for other architectures than `SUPPORTED_ARCHITECTURES`, and for missing, impossible or
 * unsupported values.
 */
export function huggingFaceConfig(path: string, config: Json, folderName: string): ModelConfig {
  const refuse = (key: string, value: unknown, works: string): ModelError =>
    new ModelError(`Cannot use model ${path}: ${key} is ${shown(value)}; ${works}`);
  const whole = (key: string, otherwise?: number): number => {
    const value = config[key] ?? otherwise;
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
    throw refuse(key, value, "a whole number from 1 to 2^31 is needed");
  };
  const positive = (from: Json, key: string, otherwise?: number): number => {
    const value = from[key] ?? otherwise;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw refuse(key, value, "a number above 0 is needed");
  };
  const only = (key: string, ...works: unknown[]) => {
    const value = config[key] ?? works[0];
    if (!works.includes(value)) throw refuse(key, value, `${works.map((v) => JSON.stringify(v)).join(" or ")} works`);
  };

  const architecture = config.model_type;
  if (typeof architecture !== "string" || !SUPPORTED_ARCHITECTURES.includes(architecture)) {
    throw refuse("model_type", architecture, `${SUPPORTED_ARCHITECTURES.join(", ")} works`);
  }
  only("attention_bias", false);
  only("mlp_bias", false);
  if (architecture === "qwen3") only("use_sliding_window", false);
  only("hidden_act", "silu", "swish");
  if (config.quantization_config) {
    const method = object(config.quantization_config).quant_method;
    throw refuse("quantization_config", method, "give the unquantised checkpoint, or a GGUF file of the model");
  }

  const rope: Json = config.rope_parameters === undefined || config.rope_parameters === null
    ? { ...object(config.rope_scaling), rope_theta: config.rope_theta }
    : { rope_theta: config.rope_theta, ...object(config.rope_parameters) };
  const partial = rope.partial_rotary_factor ?? config.partial_rotary_factor ?? 1;
  if (partial !== 1) throw refuse("partial_rotary_factor", partial, "1 works");

  const hidden = whole("hidden_size"), heads = whole("num_attention_heads");
  const stated = config._name_or_path;
  return {
    architecture,
    name: typeof stated === "string" && stated !== "" ? stated : folderName,
    layers: whole("num_hidden_layers"),
    hidden,
    heads,
    kvHeads: whole("num_key_value_heads", heads),
    headDim: whole("head_dim", hidden / heads),
    ffn: whole("intermediate_size"),
    vocab: whole("vocab_size"),
    trainedPositions: whole("max_position_embeddings", 2048),
    normEps: positive(config, "rms_norm_eps", 1e-6),
    ropeTheta: positive(rope, "rope_theta", 10000),
    ropeScaling: ropeScaling(),
    tied: config.tie_word_embeddings === true,
    qkNorm: architecture === "qwen3",
  };

  function ropeScaling(): RopeScaling | null {
    const kind = rope.rope_type ?? rope.type ?? "default";
    if (kind === "default") return null;
    if (kind === "linear") return { kind, factor: positive(rope, "factor") };
    if (kind === "llama3") {
      const lowFreqFactor = positive(rope, "low_freq_factor"), highFreqFactor = positive(rope, "high_freq_factor");
      if (highFreqFactor <= lowFreqFactor) {
        throw refuse("high_freq_factor", highFreqFactor, `it must be above low_freq_factor, ${lowFreqFactor}`);
      }
      const originalPositions = positive(rope, "original_max_position_embeddings");
      return { kind, factor: positive(rope, "factor"), lowFreqFactor, highFreqFactor, originalPositions };
    }
    throw refuse("rope_type", kind, '"default", "linear" and "llama3" work');
  }
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? value as Json : {};
}

function shown(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}
