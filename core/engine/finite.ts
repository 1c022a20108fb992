/** Weights that are no numbers would make every answer nonsense, or the same token for ever. */
import { ModelError } from "../errors.ts";

/** @throws {ModelError} where one of the values is infinite or NaN */
export function requireFinite(values: Float32Array, name: string): void {
  let poison = 0;
  for (let i = 0; i < values.length; i++) poison += values[i]! - values[i]!;
  if (poison === 0) return;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  throw new ModelError(
    `Cannot use tensor ${name}: a weight or scale in it (number ${bad}) is ${values[bad]}; fetch the model again`,
  );
}
