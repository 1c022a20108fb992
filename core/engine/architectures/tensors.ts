/** What a decoder consists of: the tensors that a file must hold, whatever its format. */
import { ModelError } from "../../errors.ts";
import { cachedLayers } from "../layers.ts";
import type { ModelConfig } from "../weights.ts";

// A table of this many positions and 64 frequencies is 4 GiB; every model in use was trained for less.
const MAX_TRAINED_POSITIONS = 1 << 24;

/** Tensor names and shapes, outermost first, one after the other (so that a hostile layer count costs nothing). */
export function* expectedTensors(config: ModelConfig): Generator<[name: string, shape: number[]]> {
  const { hidden, heads, kvHeads, headDim, ffn, vocab } = config;
  yield ["embed_tokens", [vocab, hidden]];
  yield ["norm", [hidden]];
  if (!config.tied) yield ["lm_head", [vocab, hidden]];
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `layers.${layer}.`;
    yield [prefix + "input_layernorm", [hidden]];
    yield [prefix + "self_attn.q_proj", [heads * headDim, hidden]];
    yield [prefix + "self_attn.k_proj", [kvHeads * headDim, hidden]];
    yield [prefix + "self_attn.v_proj", [kvHeads * headDim, hidden]];
    if (config.qkvBias) {
      yield [prefix + "self_attn.q_proj.bias", [heads * headDim]];
      yield [prefix + "self_attn.k_proj.bias", [kvHeads * headDim]];
      yield [prefix + "self_attn.v_proj.bias", [kvHeads * headDim]];
    }
    if (config.qkNorm) {
      yield [prefix + "self_attn.q_norm", [headDim]];
      yield [prefix + "self_attn.k_norm", [headDim]];
    }
    yield [prefix + "self_attn.o_proj", [hidden, heads * headDim]];
    yield [prefix + "post_attention_layernorm", [hidden]];
    if (config.normsBehind) {
      yield [prefix + "pre_feedforward_layernorm", [hidden]];
      yield [prefix + "post_feedforward_layernorm", [hidden]];
    }
    yield [prefix + "mlp.gate_proj", [ffn, hidden]];
    yield [prefix + "mlp.up_proj", [ffn, hidden]];
    yield [prefix + "mlp.down_proj", [hidden, ffn]];
  }
}

/**
 * Compares a file with its own configuration.
 *
 * @throws {ModelError} for an impossible configuration, a missing tensor, a wrong shape, or a tensor that the decoder
 * would ignore.
 */
export function checkTensors(
  path: string,
  config: ModelConfig,
  tensors: ReadonlyMap<string, { shape: number[] }>,
): void {
  const refuse = (problem: string) => {
    throw new ModelError(`Cannot use model ${path}: ${problem}`);
  };
  if (config.headDim % 2 !== 0) refuse(`its head dimension is ${config.headDim}; rotary positions need an even one`);
  if (config.heads % config.kvHeads !== 0) {
    refuse(`its ${config.heads} query heads do not divide among ${config.kvHeads} key/value heads`);
  }
  if (config.trainedPositions > MAX_TRAINED_POSITIONS) {
    refuse(`it claims ${config.trainedPositions} trained positions; up to ${MAX_TRAINED_POSITIONS} work`);
  }
  let known = 0;
  for (const [name, shape] of expectedTensors(config)) {
    const tensor = tensors.get(name);
    if (!tensor) return refuse(`it has no tensor ${name} (${config.architecture}, ${config.layers} layers)`);
    if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i])) {
      refuse(
        `tensor ${name} has shape [${tensor.shape.join(", ")}], where its configuration asks for [${shape.join(", ")}]`,
      );
    }
    known++;
  }
  if (cachedLayers(config).length === 0) {
    refuse(`each of its ${config.layers} layers sees the newest tokens only: no layer would hold what was read before`);
  }
  if (known === tensors.size) return;
  const expected = new Set<string>();
  for (const [name] of expectedTensors(config)) expected.add(name);
  for (const name of tensors.keys()) {
    if (!expected.has(name)) {
      refuse(
        `it holds ${name}, which a plain ${config.architecture} decoder has not ` +
          "(experts, adapters and biases that the family has not are not supported)",
      );
    }
  }
}
