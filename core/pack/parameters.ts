/** Numbers of a pack's header, within bounds. */
import { FEW_ROWS } from "../engine/attention.ts";
import type { PackArrays } from "./arrays.ts";
import type { PackHeader } from "./header.ts";

/** Most soft rows: beyond, attention takes another and slower form. */
export const MAX_SOFT_ROWS = FEW_ROWS;
/** Most positions between what was read and the soft rows. */
export const MAX_OFFSET = 4096;

/** A whole number from 0 to `most`, `otherwise` where the pack does not say. @throws {ModelError} for anything else */
export function wholeParameter(
  { parameters }: PackHeader,
  { refuse }: PackArrays,
  name: string,
  otherwise: number,
  most: number,
): number {
  const value = parameters[name] ?? otherwise;
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw refuse(`its parameter ${name} is ${value}, where a whole number from 0 to ${most} works`);
}
