/**
 * Attention mass: what the rows that ask give to every slot, as one number per slot and KV head, over the rows and the heads of a group. The second pass
 * over a layer's keys, after `softmax_rows`: probabilities are made tile by tile and never stand in memory. The counterpart of
 * `core/engine/attention_mass.ts`, all of whose aggregations one launch can give; and of `newest_mass.ts` there (one row, `newest` slots).
 *
 * One dispatch a layer. Bytes: B = 4 · kvHeads · (T · WIDTH + rows · GROUP · (WIDTH + 2 · splits + 4) + slots written · aggregations), as far as the
 * GPU's cache holds the queries, which every tile of slots reads again.
 */
import { DEFENSIVE_KERNEL } from "../../core/engine/attention_mass.ts";
import { askings, logits, sight, wordsOf } from "./attention_rows.ts";
import source from "./attention_mass.wgsl" with { type: "text" };
import { defineKernel } from "../kernel.ts";
import { softmaxRows } from "./softmax_rows.ts";

/** `newest` for all slots. */
export const ALL_SLOTS = 0xffffffff;

export const attentionMass = defineKernel({
  name: "attention_mass",
  source,
  bindings: {
    /** As in `softmax_rows`, with the same parameters. */
    queries: "read",
    keys: "read",
    start: "read",
    end: "read",
    /** What `softmax_rows` wrote. */
    softmax: "read",
    /** `weight` times the sum over rows and heads, [all heads, stride]; untouched without MEAN. Other slots than the live ones stay as they are. */
    mean: "write",
    /** The maximum; untouched without MOST. */
    most: "write",
    /** The maximum over rows that were averaged over 5 neighbours and brought back to mass 1; untouched without DEFENSIVE. */
    worst: "write",
  },
  stored: ["keys"],
  params: {
    kvHeads: "u32",
    firstHead: "u32",
    stride: "u32",
    rows: "u32",
    firstRow: "u32",
    behind: "u32",
    splits: "u32",
    scale: "f32",
    /** So many last slots of each head are scored; `ALL_SLOTS` for all. */
    newest: "u32",
    /** 1 / (rows * GROUP) makes a mean of the sum, 1 leaves it, 1 / GROUP is H2O's sum over rows of the mean over heads. */
    weight: "f32",
  },
  constants: ["WIDTH", "HEAD_DIM", "GROUP", "ROW_LANES", "MEAN", "MOST", "DEFENSIVE"],
  threads: 256,
  grid: ({ kvHeads, stride, newest, ROW_LANES, DEFENSIVE }, threads) => [
    Math.ceil(Math.min(stride, newest) / (4 * threads / ROW_LANES - (DEFENSIVE ? 8 : 0))),
    kvHeads,
  ],
  cpu({ queries, keys, start, end, softmax, mean, most, worst }, values) {
    const { kvHeads, firstHead, stride, rows, behind, splits, newest, weight, GROUP, MEAN, MOST, DEFENSIVE } = values;
    const radius = (DEFENSIVE_KERNEL - 1) / 2;
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const head = firstHead + kvHead, first = start[head]!, live = end[head]! - first, all = end[head]! + behind;
      const sums = new Float64Array(live), highest = new Float64Array(live), levels = new Float64Array(live);
      for (let i = 0; i < rows * GROUP; i++) {
        const at = (kvHead * rows * GROUP + i) * wordsOf(splits);
        let largest = -Infinity, sum = 0;
        for (let split = 0; split < splits; split++) largest = Math.max(largest, softmax[at + 2 * split]!);
        for (let split = 0; split < splits; split++) {
          sum += softmax[at + 2 * split + 1]! * Math.exp(softmax[at + 2 * split]! - largest);
        }
        // beyond what the row sees, its probabilities are zero
        const p = new Float64Array(all - first);
        logits(queries, keys, values, kvHead, i, first, sight(i, first, all, values)).forEach((x, slot) =>
          p[slot] = Math.exp(x - largest) / sum
        );
        const averaged = p.map((_, slot) =>
          p.subarray(Math.max(0, slot - radius), slot + radius + 1).reduce((a, b) => a + b, 0) / DEFENSIVE_KERNEL
        );
        const mass = averaged.reduce((a, b) => a + b, 0);
        for (let slot = 0; slot < live; slot++) {
          sums[slot]! += p[slot]!;
          highest[slot] = Math.max(highest[slot]!, p[slot]!);
          if (mass > 0) levels[slot] = Math.max(levels[slot]!, averaged[slot]! / mass);
        }
      }
      for (let slot = Math.max(0, live - newest); slot < live; slot++) {
        const to = head * stride + first + slot;
        if (MEAN) mean[to] = weight * sums[slot]!;
        if (MOST) most[to] = highest[slot]!;
        if (DEFENSIVE) worst[to] = levels[slot]!;
      }
    }
  },
  tolerance: {
    absolute: 1e-6,
    relative: 1e-4,
    reason: "a logit's error in single precision, up to 3e-5 in these cases, is a relative one of its exponential",
  },
  cases: () =>
    askings().flatMap(({ name, shape, asking, ROW_LANES, buffers }) => {
      const { kvHeads, firstHead, stride, rows, splits, GROUP } = asking;
      const softmax = new Float32Array(kvHeads * rows * GROUP * wordsOf(splits));
      softmaxRows.cpu({ ...buffers, softmax }, { ...asking, ROW_LANES });
      const out = () => new Float32Array((firstHead + kvHeads) * stride).fill(-7);
      const [MEAN, MOST, DEFENSIVE] = WANTED[shape];
      const weight = 1 / (rows * GROUP), values = { ...asking, ROW_LANES, weight, MEAN, MOST, DEFENSIVE };
      return [ALL_SLOTS, 50].map((newest) => ({
        name: newest === ALL_SLOTS ? name : `${name}, newest slots`,
        buffers: { ...buffers, softmax, mean: out(), most: out(), worst: out() },
        values: { ...values, newest },
      }));
    }),
});

/** Whether the cases of a shape want MEAN, MOST and DEFENSIVE. */
const WANTED = { small: [0, 0, 1], odd: [1, 1, 1], few: [1, 1, 0], biased: [1, 0, 1] } as const;
