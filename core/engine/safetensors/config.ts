/**
 * Hugging Face `config.json`: what all families of models have in common, in the form of transformers 5 (`rope_parameters`) and in the classic one
 * (`rope_theta`, `rope_scaling`).
 */
import { ModelError } from "../../errors.ts";
import { huggingFaceArchitectures } from "../architectures/all.ts";
import type { Architecture, Keys } from "../architectures/architecture.ts";
import { shown } from "../gguf/values.ts";
import { type ModelConfig, PLAIN, type RopeScaling } from "../weights.ts";

type Json = Record<string, unknown>;

/**
 * @param path where `config` was read, for messages
 * @throws {ModelError} for a family of models that cannot be run
 */
export function architectureOf(path: string, config: Json): Architecture {
  const type = config.model_type;
  const architecture = typeof type === "string" ? huggingFaceArchitectures.get(type) : undefined;
  if (architecture) return architecture;
  throw refusal(path)("model_type", type, `${[...huggingFaceArchitectures.keys()].join(", ")} works`);
}

/**
 * @param path where `config` was read, for messages
 * @param folderName the model's name when `config` states none
 * @throws {ModelError} for missing, impossible or unsupported values
 */
export function huggingFaceConfig(
  path: string,
  architecture: Architecture,
  config: Json,
  folderName: string,
): ModelConfig {
  const keys = keysOf(path, config), { whole, positive, only, refuse } = keys;
  only("attention_bias", false);
  only("mlp_bias", false);
  const activation = config.hidden_activation ?? config.hidden_act ?? "silu";
  if (activation !== "silu" && activation !== "swish" && activation !== "gelu_pytorch_tanh") {
    throw refuse("hidden_act", activation, '"silu" and "gelu_pytorch_tanh" work');
  }
  if (config.quantization_config) {
    const method = object(config.quantization_config).quant_method;
    throw refuse("quantization_config", method, "give the unquantised checkpoint, or a GGUF file of the model");
  }

  const stated5 = object(config.rope_parameters), scaling = stated5.full_attention ?? config.rope_parameters;
  // transformers 5 has one of each kind of layers where these differ
  const rope: Json = scaling === undefined || scaling === null
    ? { ...object(config.rope_scaling), rope_theta: config.rope_theta }
    : { rope_theta: config.rope_theta, ...object(scaling) };
  const ropeKeys = keysOf(path, rope);
  const hidden = whole("hidden_size"), heads = whole("num_attention_heads");
  const trainedPositions = whole("max_position_embeddings", 2048);
  const headDim = whole("head_dim", hidden / heads), stated = config._name_or_path;
  const plain: ModelConfig = {
    ...PLAIN,
    activation: activation === "gelu_pytorch_tanh" ? "gelu" : "silu",
    architecture: architecture.name,
    name: typeof stated === "string" && stated !== "" ? stated : folderName,
    layers: whole("num_hidden_layers"),
    hidden,
    heads,
    kvHeads: whole("num_key_value_heads", heads),
    headDim,
    ffn: whole("intermediate_size"),
    vocab: whole("vocab_size"),
    trainedPositions,
    normEps: positive("rms_norm_eps", 1e-6),
    ropeTheta: ropeKeys.positive("rope_theta", 10000),
    rotaryDim: rotaryDim(),
    ropeScaling: ropeScaling(),
    tied: config.tie_word_embeddings === true,
  };
  return architecture.huggingFace.config?.(plain, keys) ?? plain;

  function rotaryDim(): number {
    const part = rope.partial_rotary_factor ?? config.partial_rotary_factor ?? 1;
    const numbers = typeof part === "number" ? Math.trunc(part * headDim) : 0;
    if (numbers >= 2 && numbers <= headDim && numbers % 2 === 0) return numbers;
    throw refuse("partial_rotary_factor", part, `a part of ${headDim} numbers works, an even number of them`);
  }

  /** Up to where a model was trained before its positions were stretched. */
  function originalPositions(): number {
    return ropeKeys.whole(
      "original_max_position_embeddings",
      whole("original_max_position_embeddings", trainedPositions),
    );
  }

  function shortFactors(list: unknown): Float32Array {
    const count = rotaryDim() / 2,
      works = Array.isArray(list) && list.length === count &&
        list.every((factor) => typeof factor === "number" && Number.isFinite(factor) && factor > 0);
    if (!works) throw refuse("short_factor", list, `${count} numbers above 0 are needed`);
    return Float32Array.from(list as number[]);
  }

  function ropeScaling(): RopeScaling | null {
    const kind = rope.rope_type ?? rope.type ?? "default";
    if (kind === "default") return null;
    if (kind === "linear") return { kind, factor: ropeKeys.positive("factor") };
    if (kind === "llama3") {
      const lowFreqFactor = ropeKeys.positive("low_freq_factor"),
        highFreqFactor = ropeKeys.positive("high_freq_factor");
      if (highFreqFactor <= lowFreqFactor) {
        throw refuse("high_freq_factor", highFreqFactor, `it must be above low_freq_factor, ${lowFreqFactor}`);
      }
      const originalPositions = ropeKeys.positive("original_max_position_embeddings");
      return { kind, factor: ropeKeys.positive("factor"), lowFreqFactor, highFreqFactor, originalPositions };
    }
    if (kind === "longrope" || kind === "su") {
      const original = originalPositions(), times = ropeKeys.positive("factor", trainedPositions / original);
      const longer = times > 1 ? Math.sqrt(1 + Math.log(times) / Math.log(original)) : 1;
      return {
        kind: "factors",
        factors: shortFactors(rope.short_factor),
        magnitude: ropeKeys.positive("attention_factor", longer),
      };
    }
    throw refuse("rope_type", kind, '"default", "linear", "llama3" and "longrope" work');
  }
}

function refusal(path: string): Keys["refuse"] {
  return (key, value, works) => new ModelError(`Cannot use model ${path}: ${key} is ${shown(value)}; ${works}`);
}

function keysOf(path: string, config: Json): Keys {
  const refuse = refusal(path);
  return {
    value: (key) => config[key],
    list: (key) => config[key],
    refuse,
    whole(key, otherwise) {
      const value = config[key] ?? otherwise;
      if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
      throw refuse(key, value, "a whole number from 1 to 2^31 is needed");
    },
    positive(key, otherwise) {
      const value = config[key] ?? otherwise;
      if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
      throw refuse(key, value, "a number above 0 is needed");
    },
    only(key, ...works) {
      const value = config[key] ?? works[0];
      if (!works.includes(value)) throw refuse(key, value, `${works.map((v) => JSON.stringify(v)).join(" or ")} works`);
    },
  };
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? value as Json : {};
}
