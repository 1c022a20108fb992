/**
 * How much the model's answers will look at a token of a document, by its embedding e, the mean of the document's embeddings m and where it occurs
 * (Meta-Soft's pack; `training/salience.py`):
 *
 *   V relu(K e + C m + P [ln(1 + tokens before its first occurrence), ln(1 + tokens behind its last)] + b)
 */
import type { PackArrays } from "./arrays.ts";
import type { EmbeddingTable } from "./embeddings.ts";

export interface Salience {
  width: number;
  /** K and C [width, hidden], P [width, 2], b and V [width]. */
  key: Float32Array;
  context: Float32Array;
  place: Float32Array;
  bias: Float32Array;
  output: Float32Array;
}

/** A token with its first and last place in a document. */
export interface Occurrence {
  token: number;
  first: number;
  last: number;
}

const MOST = 1024;

/** Null for a pack that has none. */
export async function salienceOf(arrays: PackArrays, hidden: number): Promise<Salience | null> {
  if (!arrays.has("salience.key")) return null;
  const { shape: [width], data: key } = await arrays.floats("salience.key", [{ name: "w", most: MOST }, hidden]);
  const floats = async (name: string, shape: number[]) => (await arrays.floats(`salience.${name}`, shape)).data;
  return {
    width: width!,
    key,
    context: await floats("context", [width!, hidden]),
    place: await floats("place", [width!, 2]),
    bias: await floats("bias", [width!]),
    output: await floats("output", [width!]),
  };
}

/** Every token once, in the order of first occurrence. @param from place of the first */
export function occurrences(tokens: readonly number[], from = 0): Map<number, Occurrence> {
  const found = new Map<number, Occurrence>();
  tokens.forEach((token, i) => {
    const seen = found.get(token);
    if (seen) seen.last = from + i;
    else found.set(token, { token, first: from + i, last: from + i });
  });
  return found;
}

/** The most salient tokens of a document of `length` tokens whose embeddings have this mean [hidden], the most salient first. */
export function mostSalient(
  salience: Salience,
  table: EmbeddingTable,
  found: Iterable<Occurrence>,
  { length, mean, count }: { length: number; mean: Float32Array; count: number },
): Occurrence[] {
  const { width, key, context, place, bias, output } = salience, hidden = table.hidden;
  const shared = Float64Array.from(bias, (value, w) => value + dot(context, w * hidden, mean));
  const scored = Array.from(found, (one) => {
    const embedding = table.of(one.token), before = Math.log1p(one.first), behind = Math.log1p(length - 1 - one.last);
    let score = 0;
    for (let w = 0; w < width; w++) {
      const inner = shared[w]! + dot(key, w * hidden, embedding) + place[2 * w]! * before + place[2 * w + 1]! * behind;
      if (inner > 0) score += output[w]! * inner;
    }
    return { one, score };
  });
  return scored.sort((a, b) => b.score - a.score).slice(0, count).map(({ one }) => one);
}

/** Of x and as many numbers of `of` from a place on. In eight sums: in one, every addition would wait for the one before. */
export function dot(of: Float32Array, from: number, x: Float32Array): number {
  const whole = x.length - x.length % 8;
  let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, at = from;
  for (let i = 0; i < whole; i += 8, at += 8) {
    a += of[at]! * x[i]!;
    b += of[at + 1]! * x[i + 1]!;
    c += of[at + 2]! * x[i + 2]!;
    d += of[at + 3]! * x[i + 3]!;
    e += of[at + 4]! * x[i + 4]!;
    f += of[at + 5]! * x[i + 5]!;
    g += of[at + 6]! * x[i + 6]!;
    h += of[at + 7]! * x[i + 7]!;
  }
  for (let i = whole; i < x.length; i++, at++) a += of[at]! * x[i]!;
  return a + b + c + d + e + f + g + h;
}
