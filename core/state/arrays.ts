/** Arrays of a saved state: views on what a reading holds, written from where they stand and read back into it. Nothing is copied whole. */
import type { Dtype } from "../engine/safetensors/read.ts";

type Numbers = Float16Array | Float32Array | Float64Array | Int8Array | Int32Array;

export interface StateArray {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Its numbers in order, in as many stretches as they stand in. */
  pieces: Numbers[];
}

/** @param width numbers of a row; the rows are what the pieces hold together */
export function stateArray(name: string, pieces: Numbers[], width: number): StateArray {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return { name, dtype: dtypeOf(pieces[0]), shape: width === 1 ? [length] : [length / width, width], pieces };
}

export const bytesOf = ({ pieces }: StateArray): number => pieces.reduce((sum, piece) => sum + piece.byteLength, 0);

function dtypeOf(numbers: Numbers | undefined): Dtype {
  if (numbers instanceof Int8Array) return "I8";
  if (numbers instanceof Int32Array) return "I32";
  if (numbers instanceof Float64Array) return "F64";
  return numbers instanceof Float32Array ? "F32" : "F16";
}
