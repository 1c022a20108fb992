/**
 * Critical scores: what the second stage of `critical` compares, and how many slots the first takes. One step of `critical.ts`.
 *
 * `share × quota` is taken in single precision: exact for halves and the like; for other shares it can be one off where the product is a whole number.
 *
 * Bytes: 16 × Σ live; dispatches: one.
 */
import { ODD_SCORES, ragged, scores } from "../cases/cases.ts";
import source from "./critical_scores.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";

export const criticalScores = defineKernel({
  name: "critical_scores",
  source,
  bindings: {
    /** Higher means keep, [heads, stride]. */
    scores: "read",
    /** ‖v W_O‖₁, [heads, stride]. */
    valueNorm: "read",
    /** First live slot, [heads]. */
    start: "read",
    /** One past the last, [heads]. */
    end: "read",
    /** Slots to keep, [heads]. */
    quota: "read",
    /** Live slots that must stay, [heads]. */
    guarded: "read",
    /** Scores of the second stage, [heads, stride]. */
    final: "write",
    /** Slots of the first stage, [heads]. */
    first: "write",
  },
  /** Share of the quota that the first stage decides; what is added to every score. */
  params: { heads: "u32", stride: "u32", share: "f32", epsilon: "f32" },
  constants: [],
  threads: 256,
  grid: ({ heads }) => [heads],
  cpu({ scores, valueNorm, start, end, quota, guarded, final, first }, { heads, stride, share, epsilon }) {
    for (let head = 0; head < heads; head++) {
      const from = head * stride + start[head]!, to = head * stride + end[head]!;
      let lowest = 0;
      for (let slot = from; slot < to; slot++) {
        if (scores[slot]! < lowest && scores[slot] !== -Infinity) lowest = scores[slot]!;
      }
      for (let slot = from; slot < to; slot++) final[slot] = (scores[slot]! - lowest + epsilon) * valueNorm[slot]!;
      first[head] = Math.min(quota[head]!, Math.max(guarded[head]!, 1, Math.trunc(quota[head]! * share)));
    }
  },
  tolerance: {
    absolute: 1e-38,
    relative: 4e-7,
    reason: "three roundings in single precision; denormals may be flushed",
  },
  cases: () =>
    ([
      ["one slot, and none", [[0.5], []], [1, 0]],
      ["attention mass", [1001, 63, 300].map((n) => scores(n).map(Math.abs)), [333, 40, 36]],
      ["geometry of keys", [777, 64].map((n) => Array.from({ length: n }, (_, i) => -1 - i * 37 % 101 / 7)), [100, 5]],
      ["all equal", [Array(300).fill(0.25), Array(301).fill(-3)], [100, 300]],
      [
        "hard to order",
        Array.from({ length: 2 }, () => ODD_SCORES.map((x) => Math.abs(x) > 1 ? Math.sign(x) / 0 : x)),
        [
          5,
          6,
        ],
      ],
    ] as [string, number[][], number[]][]).map(([name, rows, quota]) => {
      const { stride, start, end, place } = ragged(rows.map((row) => row.length));
      return {
        name,
        buffers: {
          scores: place(rows, -1e9),
          valueNorm: place(rows.map((row) => row.map((_, i) => i % 10 === 9 ? 0 : (i * 29 % 61) / 8)), 7),
          start,
          end,
          quota: Uint32Array.from(quota),
          guarded: Uint32Array.from(quota, (_, head) => 36 * (head % 2)),
          final: new Float32Array(rows.length * stride),
          first: new Uint32Array(rows.length),
        },
        values: { heads: rows.length, stride, share: 0.5, epsilon: 1e-4 },
      };
    }),
});
