/** What becomes of a model's weights when they are executed: known from its header. */
import { blockForm } from "./blocks.ts";
import type { ModelFile, TensorType } from "./weights.ts";

/** `blocks`: quantised (MatMulNBits); `f32`: everything dequantised. */
export type WeightFormat = "blocks" | "f32";

/** Tensors of one stored type that are executed alike. */
export interface ExecutionForm {
  type: TensorType;
  tensors: number;
  weights: number;
  /** 32: in f32, as vectors are. */
  bits: 4 | 8 | 32;
  /** Weights that share a scale; null in f32. */
  blockSize: number | null;
  /** Values are not the stored ones, but the nearest of 256 steps of their block. */
  isRounded: boolean;
}

/** Of the form `blocks`, matrices of most weights first. */
export function executionForms({ tensors }: Pick<ModelFile, "tensors">): ExecutionForm[] {
  const forms = new Map<string, ExecutionForm>();
  for (const { type, shape } of tensors.values()) {
    const [rows, columns] = shape, block = columns === undefined ? null : blockForm(type, columns);
    const bits = block?.bits ?? 32, blockSize = block?.blockSize ?? null, isRounded = block?.zeroPoints ?? false;
    const key = [type, bits, blockSize, isRounded].join(" ");
    const form = forms.get(key) ?? { type, tensors: 0, weights: 0, bits, blockSize, isRounded };
    form.tensors++;
    form.weights += rows! * (columns ?? 1);
    forms.set(key, form);
  }
  return [...forms.values()].sort((a, b) => b.weights - a.weights);
}
