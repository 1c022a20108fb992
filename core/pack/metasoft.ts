/**
 * The pack of Meta-Soft (arXiv 2605.22337): rows that are the same for all documents, a library of orthonormal directions, and a selector that adds a
 * mixture of a few directions to each row, by what is known of the document's embeddings. The last rows also copy embeddings of salient tokens, which is
 * ours: mixtures alone brought nothing. `training/README.md` has the formulas.
 */
import type { ModelFile } from "../engine/weights.ts";
import { highest } from "../select/highest.ts";
import type { PackArrays } from "./arrays.ts";
import { EmbeddingTable } from "./embeddings.ts";
import type { PackHeader } from "./header.ts";
import { MAX_OFFSET, MAX_SOFT_ROWS, wholeParameter } from "./parameters.ts";
import { dot, type Salience, salienceOf } from "./salience.ts";

/** Most directions of a library, and numbers of the selector's inner width. */
const MOST = 4096;

/** What the selector looks at, [hidden] each; zeros for what is not known. */
export type Features = readonly [mean: Float32Array, last: Float32Array, question: Float32Array];

export interface MetasoftPack {
  header: PackHeader;
  table: EmbeddingTable;
  hidden: number;
  /** Soft rows, directions of the library, width of the selector's attention, directions that a row is mixed of. */
  count: number;
  size: number;
  width: number;
  chosen: number;
  offset: number;
  /** It was trained with questions: without that, the place of the question is zeros also where there is one. */
  hearsQuestion: boolean;
  /** [count, hidden] */
  tokens: Float32Array;
  /** What the embeddings that the last rows copy are multiplied with, one for each of these rows, and what they copy; none and null without copies. */
  copy: Float32Array;
  salience: Salience | null;
  /** [size, hidden], and what a mixture of them is multiplied with. */
  library: Float32Array;
  scale: number;
  /**
   * One query per soft row [count, width]; keys and values of a feature [width, hidden], and what each feature's place adds to its key [3, width];
   * directions by what was attended to [size, width], and for all documents [count, size].
   */
  query: Float32Array;
  key: Float32Array;
  place: Float32Array;
  value: Float32Array;
  output: Float32Array;
  bias: Float32Array;
}

/** @throws {ModelError} for arrays or parameters that cannot be used */
export async function metasoftPack(header: PackHeader, arrays: PackArrays, model: ModelFile): Promise<MetasoftPack> {
  const { hidden } = model.config;
  const { shape: [size], data: library } = await arrays.floats("library", [{ name: "M", most: MOST }, hidden]);
  const { shape: [count, width], data: query } = await arrays.floats("selector.query", [
    { name: "k", most: MAX_SOFT_ROWS },
    { name: "d", most: MOST },
  ]);
  const floats = async (name: string, shape: number[]) => (await arrays.floats(name, shape)).data;
  const chosen = wholeParameter(header, arrays, "chosen", 8, size!);
  if (chosen === 0) throw arrays.refuse("its parameter chosen is 0, where 1 works");
  const salience = await salienceOf(arrays, hidden);
  return {
    header,
    table: await EmbeddingTable.open(model),
    hidden,
    count: count!,
    size: size!,
    width: width!,
    chosen,
    offset: wholeParameter(header, arrays, "offset", 0, MAX_OFFSET),
    hearsQuestion: wholeParameter(header, arrays, "question", 0, 1) === 1,
    tokens: await floats("tokens", [count!, hidden]),
    copy: salience ? (await arrays.floats("copy", [{ name: "k", most: count! }])).data : new Float32Array(0),
    salience,
    library,
    scale: (await floats("scale", [1]))[0]!,
    query,
    key: await floats("selector.key", [width!, hidden]),
    place: await floats("selector.place", [3, width!]),
    value: await floats("selector.value", [width!, hidden]),
    output: await floats("selector.output", [size!, width!]),
    bias: await floats("selector.bias", [count!, size!]),
  };
}

/**
 * Soft rows for what is known of a document, [count, hidden].
 * @param copied embeddings for the last rows, at most as many as these are; rows that get none stay without
 */
export function synthesise(pack: MetasoftPack, features: Features, copied: readonly Float32Array[] = []): Float32Array {
  const { count, hidden, width, chosen, library, scale, copy } = pack, rows = pack.tokens.slice();
  copied.forEach((embedding, i) => {
    const at = (count - copy.length + i) * hidden;
    for (let d = 0; d < hidden; d++) rows[at + d]! += copy[i]! * embedding[d]!;
  });
  const keys = features.map((feature, i) => {
    const key = product(pack.key, feature, width);
    return key.map((value, d) => value + pack.place[i * width + d]!);
  });
  const values = features.map((feature) => product(pack.value, feature, width));
  for (let k = 0; k < count; k++) {
    const weights = softmax(keys.map((key) => dot(pack.query, k * width, key) / Math.sqrt(width)));
    const seen = new Float32Array(width);
    values.forEach((value, i) => value.forEach((part, d) => seen[d]! += weights[i]! * part));
    const logits = product(pack.output, seen, pack.size);
    for (let m = 0; m < logits.length; m++) logits[m]! += pack.bias[k * pack.size + m]!;
    const best = Array.from(highest(logits, chosen)), mixed = softmax(best.map((m) => logits[m]!));
    const row = rows.subarray(k * hidden, (k + 1) * hidden);
    best.forEach((m, i) => {
      const share = scale * mixed[i]!, direction = library.subarray(m * hidden, (m + 1) * hidden);
      for (let d = 0; d < hidden; d++) row[d]! += share * direction[d]!;
    });
  }
  return rows;
}

/** Matrix [rows, x.length] times x. */
function product(matrix: Float32Array, x: Float32Array, rows: number): Float32Array {
  const out = new Float32Array(rows);
  for (let row = 0; row < rows; row++) out[row] = dot(matrix, row * x.length, x);
  return out;
}

function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits), exps = logits.map((logit) => Math.exp(logit - top));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((value) => value / sum);
}
