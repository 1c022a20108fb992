/** cos and sin for turning keys by any number of positions: two short tables in place of one as long as the model's positions. */
import type { Rope } from "../../core/rope.ts";

/** Positions that the fine rows step through. */
export const FINE = 256;

/**
 * Rows 0…255 turn by that many positions, row 256 + n by 256 n: [256 + ⌊most / 256⌋ + 1, headDim / 2, (cos, sin)]. Angles are taken in double
 * precision, so a turn put together of two rows is off by 1e-7 however far it goes.
 * @param most positions that a key can be turned by
 */
export function rotationTable(rope: Rope, most: number): Float32Array<ArrayBuffer> {
  const half = rope.frequencies.length, coarse = Math.floor(most / FINE) + 1;
  const table = new Float32Array((FINE + coarse) * half * 2);
  for (let row = 0, at = 0; row < FINE + coarse; row++) {
    const { cos, sin } = rope.rows(row < FINE ? row : (row - FINE) * FINE, 1);
    for (let i = 0; i < half; i++) {
      table[at++] = cos[i]!;
      table[at++] = sin[i]!;
    }
  }
  return table;
}
