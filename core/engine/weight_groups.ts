/** Which tensors are stored as one, and how large what is stored becomes, known before anything is read. */
import { DeviceError } from "../errors.ts";
import { blockForm } from "./blocks.ts";
import { qkvNames } from "./llama_blocks.ts";
import type { WeightFormat } from "./execution_forms.ts";
import type { ModelConfig, ModelFile } from "./weights.ts";

/** Names of tensors that are stored as one. */
export interface WeightGroups {
  vectors: string[][];
  matrices: string[][];
}

/** Matrices that are always applied to the same input lie side by side, so that one product serves them, and their biases too. */
export function groupsOf(config: ModelConfig): WeightGroups {
  const vectors = [["norm"]], matrices = [["embed_tokens"]];
  if (!config.tied) matrices.push(["lm_head"]);
  for (let layer = 0; layer < config.layers; layer++) {
    const w = `layers.${layer}.`;
    vectors.push([`${w}input_layernorm`], [`${w}post_attention_layernorm`]);
    if (config.normsBehind) vectors.push([`${w}pre_feedforward_layernorm`], [`${w}post_feedforward_layernorm`]);
    if (config.qkvBias) vectors.push(qkvNames(layer).map((name) => `${name}.bias`));
    if (config.qkNorm) vectors.push([`${w}self_attn.q_norm`], [`${w}self_attn.k_norm`]);
    matrices.push(
      qkvNames(layer),
      [`${w}self_attn.o_proj`],
      [`${w}mlp.gate_proj`, `${w}mlp.up_proj`],
      [`${w}mlp.down_proj`],
    );
  }
  return { vectors, matrices };
}

type Tensors = Pick<ModelFile, "tensors">;

export const infoOf = ({ tensors }: Tensors, name: string) => tensors.get(name)!;

/** The whole group where its matrices can stand below one another; else each alone. */
export function joinable(model: Tensors, group: string[]): string[][] {
  const forms = group.map((name) => {
    const { type, shape } = infoOf(model, name);
    return { columns: shape[1]!, ...blockForm(type, shape[1]!) };
  });
  const first = forms[0]!, withZeroPoints = forms.some(({ zeroPoints }) => zeroPoints);
  const isOne = forms.every(({ bits, blockSize, columns }) =>
    bits === first.bits && blockSize === first.blockSize && columns === first.columns
  );
  return isOne && !(withZeroPoints && first.bits !== 8) ? [group] : group.map((name) => [name]);
}

/** What a device can take. */
export interface WeightLimits {
  /** For messages: `The GPU "…"`. */
  device: string;
  /** Most bytes of one matrix, and of all together. */
  oneBytes: number;
  allBytes: number;
}

/** What ONNX Runtime's WebAssembly can address, which the weights of its GPU device pass through, too; Bun's buffers end there as well. */
export const WASM_BYTES = 2 ** 32;

/** @throws {DeviceError} where the prepared weights would be larger than a device can take */
export function refuseLargeWeights(
  model: Pick<ModelFile, "config" | "tensors">,
  format: WeightFormat,
  { device, oneBytes, allBytes }: WeightLimits,
): void {
  const groups = groupsOf(model.config).matrices, numbers = (name: string) => shapeOf(name).reduce((a, b) => a * b, 1);
  const shapeOf = (name: string) => infoOf(model, name).shape;
  const blockBytes = (name: string) => {
    const [rows, columns] = shapeOf(name), { bits, blockSize } = blockForm(infoOf(model, name).type, columns!);
    const blocks = rows! * Math.ceil(columns! / blockSize);
    return { data: blocks * blockSize * bits / 8, all: blocks * (blockSize * bits / 8 + 4) };
  };
  let all = 0;
  for (const group of format === "f32" ? groups : groups.flatMap((group) => joinable(model, group))) {
    const sizes = group.map((name) =>
      format === "f32" ? { data: 4 * numbers(name), all: 4 * numbers(name) } : blockBytes(name)
    );
    const one = sizes.reduce((sum, { data }) => sum + data, 0);
    all += sizes.reduce((sum, size) => sum + size.all, 0);
    if (one > oneBytes) {
      throw new DeviceError(
        `${device} allows ${oneBytes} bytes in one buffer, and the model's ${group.join(" and ")} takes ${one}; ` +
          "--device cpu works",
      );
    }
  }
  if (all > allBytes) {
    throw new DeviceError(
      `${device} takes weights of ${allBytes} bytes, and the model's are ${all}; --device cpu works`,
    );
  }
}
