/**
 * The queries that are to come ask: they are taken as normally distributed like those of the chunk before rotation, rotated to the next 512 positions
 * on the mean (ExpectedAttention, arXiv 2510.00636; kvpress's form). The expected attention of a slot, exp(k·μ/√d + kᵀΣk/2d) over the sum of these,
 * is averaged over the heads of the group and multiplied by ‖v‖₂.
 *
 * Differs: mean and covariance are those of the newest chunk, not of all that was read. They predict what comes next, and the nearest text does that as
 * well as the whole, with enough rows for the covariance of a head (512 for 64 dimensions); sums over all chunks would be a state beside the slots,
 * as large as thousands of them. A short last chunk gives few rows, but evicts few slots.
 */
import { ExpectedAttentionGraph } from "../dense/expected_attention.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import type { QueryMoments } from "../engine/engine.ts";
import { type Probe, SINKS } from "../policy.ts";
import { leadingSinks } from "../protected_slots.ts";
import { perRope, type Rope, ropesOf } from "../rope.ts";

/**
 * @param future positions over which the rotation is averaged
 * @param sinks first tokens of the prompt, left out of the softmax: they stay anyway
 * @param weighted false: the expected attention alone, not times ‖v‖₂
 */
export const expected = (future = 512, sinks = SINKS, weighted = true): Probe => ({
  name: weighted ? "expected" : "expected-mass",
  windowRows: 0,
  needs: { queryMoments: true },
  async look({ engine, cache, chunk, nextPosition }) {
    const { config } = engine, { headDim, kvHeads } = config, group = config.heads / kvHeads;
    const graph = await ExpectedAttentionGraph.open(engine, weighted);
    const rotation = perRope(ropesOf(config), (rope) => meanRotation(rope, nextPosition, future));
    // two of each, as the next head's are made while the graph reads these
    const queries = [0, 1].map(() => ({
      mean: new Float32Array(group * headDim),
      form: new Float32Array(group * headDim * headDim),
    }));
    const score: Float32Array[] = [];
    await oneAhead(cache.heads, (head) => {
      const layer = Math.floor(head / kvHeads),
        moments = chunk.queryMoments![layer]!,
        { mean, form } = queries[head % 2]!;
      for (let g = 0; g < group; g++) {
        expectation(moments, head % kvHeads * group + g, rotation(layer), mean, form, g);
      }
      const first = leadingSinks(cache.sources(head), sinks), at = first * headDim, live = cache.live[head]!;
      const found = graph.score(cache.keyRows(head).subarray(at), cache.valueRows(head).subarray(at), mean, form);
      return found.then((expected) => {
        const whole = new Float32Array(live);
        whole.fill(expected.reduce((most, value) => Math.max(most, value), 0), 0, first).set(expected, first);
        score[head] = whole;
      });
    });
    return { score };
  },
});

/** The mean of the rotations of `count` positions from `first` on: a turn and a shrinking of each pair of dimensions. */
export function meanRotation(rope: Rope, first: number, count: number): { cos: Float64Array; sin: Float64Array } {
  const half = rope.frequencies.length, rows = rope.longRows(first, count);
  const cos = new Float64Array(half), sin = new Float64Array(half);
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < half; i++, at++) {
      cos[i]! += rows.cos[at]! / count;
      sin[i]! += rows.sin[at]! / count;
    }
  }
  return { cos, sin };
}

/**
 * Mean and covariance of one query head, rotated and scaled as the graph wants them: μ/√d and Σ/2d as the `g`-th of `mean` and `form`.
 * @param head query head of the layer
 */
export function expectation(
  { rows, sum, outer }: QueryMoments,
  head: number,
  { cos, sin }: { cos: Float64Array; sin: Float64Array },
  mean: Float32Array,
  form: Float32Array,
  g: number,
): void {
  const half = cos.length, d = 2 * half, from = head * d, block = head * d * d;
  const covariance = (i: number, j: number) =>
    outer[block + i * d + j]! / rows - sum[from + i]! / rows * (sum[from + j]! / rows);
  const scale = 1 / (rows * Math.sqrt(d)), square = 1 / (2 * d);
  for (let i = 0; i < half; i++) {
    const a = sum[from + i]!, b = sum[from + half + i]!, ci = cos[i]! * square, si = sin[i]! * square;
    mean[g * d + i] = (a * cos[i]! - b * sin[i]!) * scale;
    mean[g * d + half + i] = (b * cos[i]! + a * sin[i]!) * scale;
    for (let j = 0; j < half; j++) {
      // rows i and i + half, columns j and j + half: rotated on both sides
      const aa = covariance(i, j), ab = covariance(i, half + j);
      const ba = covariance(half + i, j), bb = covariance(half + i, half + j);
      const cj = cos[j]!, sj = sin[j]!;
      const ua = aa * ci - ba * si, ub = ab * ci - bb * si, la = ba * ci + aa * si, lb = bb * ci + ab * si;
      const upper = (g * d + i) * d + j, lower = upper + half * d;
      form[upper] = ua * cj - ub * sj;
      form[upper + half] = ub * cj + ua * sj;
      form[lower] = la * cj - lb * sj;
      form[lower + half] = lb * cj + la * sj;
    }
  }
}
