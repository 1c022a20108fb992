/**
 * What a latent memory keeps of everything that was evicted, and its arithmetic in plain loops (IndexMem, arXiv 2605.25475): per head the sums
 * A [r, headDim] and b [r], whose size never changes. With φ(x) = x W, keys and queries before rotation:
 *
 * write: A ← λ A + η Σ φ(k) vᵀ, b ← λ b + η Σ φ(k)² · read: m(q) = φ(q)ᵀ A / max(φ(q)² · b, 1e-6), and attention gives o + g m(q)
 *
 * One W, λ, η and g for a layer. The functions are the reference of the graphs and kernels that compute the same.
 */

/** One layer's weights, as they are used: the gate behind its sigmoid and so on. */
export interface Latent {
  /** W [headDim, r] */
  phi: Float32Array;
  /** g, η, λ */
  gate: number;
  write: number;
  decay: number;
}

/** Below it, what divides the readout counts as this much. */
export const LATENT_EPSILON = 1e-6;

export class LatentState {
  /** A of every head, [heads, r, headDim]. */
  readonly sums: Float32Array;
  /** b of every head, [heads, r]. */
  readonly norms: Float32Array;
  /** False while passes shall see nothing of it. */
  visible = true;

  /** @param rank r */
  constructor(readonly heads: number, readonly rank: number, readonly headDim: number) {
    this.sums = new Float32Array(heads * rank * headDim);
    this.norms = new Float32Array(heads * rank);
  }

  /** Views on those of `count` heads. */
  run(head: number, count = 1): { sums: Float32Array; norms: Float32Array } {
    const { rank, headDim } = this, size = rank * headDim;
    return {
      sums: this.sums.subarray(head * size, (head + count) * size),
      norms: this.norms.subarray(head * rank, (head + count) * rank),
    };
  }
}

/** Bytes of a head's state (f32). */
export function latentBytes(rank: number, headDim: number): number {
  return rank * (headDim + 1) * 4;
}

/** φ of rows [rows, headDim]: [rows, r]. */
export function latentFeatures(phi: Float32Array, rows: Float32Array, headDim: number): Float32Array {
  const rank = phi.length / headDim, out = new Float32Array(rows.length / headDim * rank);
  for (let at = 0; at < out.length; at++) {
    const row = Math.floor(at / rank) * headDim, r = at % rank;
    let sum = 0;
    for (let i = 0; i < headDim; i++) sum += rows[row + i]! * phi[i * rank + r]!;
    out[at] = sum;
  }
  return out;
}

/** What rows add to A and b before η. @param keys [rows, headDim], not rotated @param values [rows, headDim] */
export function latentSums(phi: Float32Array, keys: Float32Array, values: Float32Array, headDim: number) {
  const features = latentFeatures(phi, keys, headDim), rank = phi.length / headDim;
  const sums = new Float32Array(rank * headDim), norms = new Float32Array(rank);
  for (let r = 0; r < rank; r++) {
    for (let at = r, row = 0; at < features.length; at += rank, row += headDim) {
      norms[r]! += features[at]! ** 2;
      for (let i = 0; i < headDim; i++) sums[r * headDim + i]! += features[at]! * values[row + i]!;
    }
  }
  return { sums, norms };
}

/** A ← λ A + η ΔA, b ← λ b + η Δb, in place. */
export function latentUpdate(
  state: { sums: Float32Array; norms: Float32Array },
  added: { sums: Float32Array; norms: Float32Array },
  { write, decay }: Latent,
): void {
  for (const what of ["sums", "norms"] as const) {
    const mine = state[what], more = added[what];
    for (let i = 0; i < mine.length; i++) mine[i] = decay * mine[i]! + write * more[i]!;
  }
}

/** m(q) of rows [rows, headDim], not rotated, and what divides it before it is bounded: [rows, headDim], [rows]. */
export function latentRead(
  phi: Float32Array,
  queries: Float32Array,
  { sums, norms }: { sums: Float32Array; norms: Float32Array },
  headDim: number,
) {
  const features = latentFeatures(phi, queries, headDim), rank = phi.length / headDim;
  const denominator = new Float32Array(queries.length / headDim), out = new Float32Array(queries.length);
  denominator.forEach((_, row) => {
    let divisor = 0;
    for (let r = 0; r < rank; r++) divisor += features[row * rank + r]! ** 2 * norms[r]!;
    denominator[row] = divisor;
    for (let i = 0; i < headDim; i++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += features[row * rank + r]! * sums[r * headDim + i]!;
      out[row * headDim + i] = sum / Math.max(divisor, LATENT_EPSILON);
    }
  });
  return { out, denominator };
}
