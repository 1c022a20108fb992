/**
 * Two attention masses as one: the mean over the rows of both, or the larger. The counterpart of `mergedTwo` in `core/probe/evidence.ts` (`mixture`, the
 * rows of `lookahead`), and of `kvzip`'s raising of the chunk's scores to what a piece of the repetition gave (`newest` = the chunk's tokens).
 *
 * One dispatch for all heads of all layers. Bytes: B = 12 · slots merged of all heads.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./merge_mass.wgsl" with { type: "text" };
import { runs } from "../cases/slot_cases.ts";

export const mergeMass = defineKernel({
  name: "merge_mass",
  source,
  bindings: {
    /** [all heads, stride]. */
    other: "read",
    /** Live slots are start..end, [all heads]. */
    start: "read",
    end: "read",
    /** [all heads, stride]; becomes that of both. */
    mass: "write",
  },
  params: {
    heads: "u32",
    stride: "u32",
    /** So many last slots of each head are merged; `ALL_SLOTS` for all. */
    newest: "u32",
    /** Of the mean: the other's rows among the rows of both. */
    share: "f32",
  },
  constants: ["LARGER"],
  threads: 256,
  grid: ({ heads, stride, newest }, threads) => [Math.ceil(Math.min(stride, newest) / threads), heads],
  cpu({ other, start, end, mass }, { heads, stride, newest, share, LARGER }) {
    for (let head = 0; head < heads; head++) {
      const until = head * stride + end[head]!;
      for (let at = Math.max(head * stride + start[head]!, until - newest); at < until; at++) {
        const mine = mass[at]!, theirs = other[at]!;
        mass[at] = LARGER ? theirs > mine ? theirs : mine : mine + (theirs - mine) * share;
      }
    }
  },
  tolerance: { absolute: 1e-6, relative: 1e-6, reason: "the mean is rounded after each step" },
  cases: () =>
    [0, 1].flatMap((LARGER) =>
      [0xffffffff, 37].flatMap((newest) =>
        runs().map(({ name, stride, start, end }) => {
          const heads = start.length;
          const [mass, other] = [numbers(heads * stride, 31), numbers(heads * stride, 32)];
          if (name === "all equal") other.set(mass);
          return {
            name: `${name}, ${LARGER ? "larger" : "mean"}${newest === 37 ? ", newest slots" : ""}`,
            buffers: { other, start, end, mass },
            values: { heads, stride, newest, share: Math.fround(21 / 85), LARGER },
          };
        })
      )
    ),
});
