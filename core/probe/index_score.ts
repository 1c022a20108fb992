/**
 * The arithmetic of a learned indexer (IndexMem, arXiv 2605.25475, after DeepSeek's lightning indexer), in plain loops: the reference of the graphs and
 * kernels that compute it. Of a layer, with n index heads of d dimensions, one key for all of them, and queries before rotation:
 *
 * q_s = LN(W_q concat(query_s)), k_t = LN(W_k x_t + b_k), w_s = (W_w x_s + b_w) n^-1/2 d^-1/2, I(s, t) = Σ_j w_sj ReLU(q_sj · k_t)
 *
 * A slot's score is the mean of I over some queries s, without a mask. In the paper all KV heads of a layer share W_w, and the score; a pack may also have a
 * W_w for each of them, and an age term: − a_h ln(1 + age / 64), of a slot that stands so many positions before the last query.
 */

/** Gain and shift of a layer norm, [d] each. */
export interface NormWeights {
  weight: Float32Array;
  bias: Float32Array;
}

/** One layer's. */
export interface Indexer {
  /** n and d. */
  heads: number;
  dim: number;
  /** [n * d, query heads * headDim] */
  query: Float32Array;
  /** [d, hidden] */
  key: Float32Array;
  /** [d] */
  keyBias: Float32Array;
  /** KV heads with a W_w of their own: 1 where they share one. */
  groups: number;
  /** [groups * n, hidden] */
  weight: Float32Array;
  /** [groups * n] */
  weightBias: Float32Array;
  queryNorm: NormWeights;
  keyNorm: NormWeights;
  /** a, of every KV head of the layer; null where age does not count. */
  age: Float32Array | null;
}

export const INDEXER_EPSILON = 1e-5;

/** @param rows [rows, query heads * headDim], before rotation @returns [rows, n, d] */
export function indexQueries({ query, queryNorm, heads, dim }: Indexer, rows: Float32Array): Float32Array {
  return normed(product(rows, query, heads * dim), queryNorm);
}

/** @param rows [rows, hidden], behind the layer's first norm @returns [rows, d] */
export function indexKeys({ key, keyBias, keyNorm, dim }: Indexer, rows: Float32Array): Float32Array {
  return normed(product(rows, key, dim, keyBias), keyNorm);
}

/** @param rows [rows, hidden], behind the layer's first norm @returns [rows, groups * n], scaled */
export function indexWeights({ weight, weightBias, heads, dim, groups }: Indexer, rows: Float32Array): Float32Array {
  return scaledWeights(product(rows, weight, groups * heads, weightBias), heads, dim);
}

/** Which rows of a chunk ask: every `every`-th of its last ones, the last row among them. */
export interface IndexRows {
  last: number;
  every: number;
}

/** How many rows of a chunk ask. */
export const indexRowsOf = ({ last, every }: IndexRows, rows: number): number =>
  Math.ceil(Math.min(last, rows) / every);

/** What an age costs, before a_h. @param age positions before the last query */
export const ageTerm = (age: number): number => Math.log1p(Math.max(0, age) / 64);

/** times n^-1/2 d^-1/2 */
export function scaledWeights(weights: Float32Array, heads: number, dim: number): Float32Array {
  const scale = 1 / Math.sqrt(heads * dim);
  return weights.map((weight) => weight * scale);
}

/**
 * The mean of I over all queries.
 * @param queries [rows, n, d] @param weights [rows, n], scaled @param keys [slots, d]
 * @returns [slots]
 */
export function meanIndexScore(
  queries: Float32Array,
  weights: Float32Array,
  keys: Float32Array,
  { heads, dim }: Pick<Indexer, "heads" | "dim">,
): Float32Array {
  const rows = weights.length / heads;
  return Float32Array.from({ length: keys.length / dim }, (_, slot) => {
    let sum = 0;
    for (let pair = 0; pair < weights.length; pair++) {
      let dot = 0;
      for (let i = 0; i < dim; i++) dot += queries[pair * dim + i]! * keys[slot * dim + i]!;
      if (dot > 0) sum += weights[pair]! * dot;
    }
    return sum / rows;
  });
}

/** Slots in front, whose tokens stay anyway, get as much as the best of the others. @param first slots in front */
export function sinksAsBest(scores: Float32Array, first: number): Float32Array {
  let most = -Infinity;
  for (let slot = first; slot < scores.length; slot++) most = Math.max(most, scores[slot]!);
  return scores.fill(most, 0, first);
}

/** x Wᵀ + b of rows x. @param matrix [columns, width of a row] */
function product(x: Float32Array, matrix: Float32Array, columns: number, bias?: Float32Array): Float32Array {
  const width = matrix.length / columns, rows = x.length / width, out = new Float32Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      let sum = bias?.[column] ?? 0;
      for (let i = 0; i < width; i++) sum += x[row * width + i]! * matrix[column * width + i]!;
      out[at] = sum;
    }
  }
  return out;
}

/** Runs of d numbers at mean 0 and variance 1, then times gain plus shift; in place. */
function normed(rows: Float32Array, { weight, bias }: NormWeights): Float32Array {
  const dim = weight.length;
  for (let from = 0; from < rows.length; from += dim) {
    const run = rows.subarray(from, from + dim), mean = run.reduce((sum, x) => sum + x, 0) / dim;
    const variance = run.reduce((sum, x) => sum + (x - mean) ** 2, 0) / dim;
    const scale = 1 / Math.sqrt(variance + INDEXER_EPSILON);
    for (let i = 0; i < dim; i++) run[i] = (run[i]! - mean) * scale * weight[i]! + bias[i]!;
  }
  return rows;
}
