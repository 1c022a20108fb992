/** Lengths of rows, for probes that look at keys and values instead of asking with queries. */

/** ‖row‖₂ of each row: [rows, width] → [rows]. */
export function rowNorms(rows: Float32Array, width: number): Float32Array {
  const norms = new Float32Array(rows.length / width);
  for (let row = 0, at = 0; row < norms.length; row++) {
    let sum = 0;
    for (const end = at + width; at < end; at++) sum += rows[at]! * rows[at]!;
    norms[row] = Math.sqrt(sum);
  }
  return norms;
}
