/** Arrays of a pack: their shapes are known before they are read, and every number is one. */
import type { SafetensorsFile } from "../engine/safetensors/read.ts";
import { ModelError } from "../errors.ts";
import type { PackHeader } from "./header.ts";
import { trainingCommand } from "./method.ts";

/** A length that must be so, or one between 1 and a bound. */
export type Length = number | { name: string; most: number };

export interface PackArrays {
  has(name: string): boolean;
  /** @throws {ModelError} when it is missing, of another shape or type, or holds what is no number */
  floats(name: string, shape: readonly Length[]): Promise<{ shape: number[]; data: Float32Array }>;
  /** One number, stored as a scalar or as an array of one. @throws {ModelError} as `floats` */
  scalar(name: string): Promise<number>;
  refuse(problem: string): ModelError;
}

export function packArrays(stored: SafetensorsFile, { path, method }: PackHeader): PackArrays {
  const refuse = (problem: string) =>
    new ModelError(`Cannot use pack ${path}: ${problem}; train it again with: ${trainingCommand(method)}`);
  const arrays: PackArrays = {
    refuse,
    has: (name) => stored.arrays.has(name),
    async scalar(name) {
      const { data } = await arrays.floats(name, stored.arrays.get(name)?.shape.length === 0 ? [] : [1]);
      return data[0]!;
    },
    async floats(name, wanted) {
      const array = stored.arrays.get(name);
      if (!array) throw refuse(`it has no array ${name}`);
      const { dtype, shape } = array;
      if (dtype !== "F32" && dtype !== "F16") throw refuse(`${name} is ${dtype}, where F16 and F32 work`);
      const fits = (length: Length, i: number) =>
        typeof length === "number" ? shape[i] === length : shape[i]! >= 1 && shape[i]! <= length.most;
      if (shape.length !== wanted.length || !wanted.every(fits)) {
        const works = wanted.map((length) => typeof length === "number" ? length : `${length.name} ≤ ${length.most}`);
        throw refuse(`${name} has shape [${shape.join(", ")}], where [${works.join(", ")}] works`);
      }
      const data = (await stored.read(name)).data as Float32Array;
      const bad = data.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw refuse(`${name} holds ${data[bad]} at ${bad}, where only numbers work`);
      return { shape: [...shape], data };
    },
  };
  return arrays;
}
