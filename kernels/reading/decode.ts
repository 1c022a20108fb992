/** GPU forms of `core/decode/`: what is kept while writing? The written slots are every head's last ones; what was read stays. */
import { RECENT_SHARE } from "../../core/decode/moment_recent.ts";
import { LAMBDA } from "../../core/decode/rkv.ts";
import { momentum } from "../decode/momentum.ts";
import { rkvRedundancy } from "../decode/rkv_redundancy.ts";
import { rkvScore } from "../decode/rkv_score.ts";
import { writtenMomentum } from "../decode/written_momentum.ts";
import { writtenQuota } from "../decode/written_quota.ts";
import { writtenRecency } from "../decode/written_recency.ts";
import { unitBlocks, unitSum } from "../probe/unit_sum.ts";
import { recordTopK } from "../select/selection.ts";
import type { Compaction } from "./compaction.ts";
import type { Kept } from "./compensate.ts";
import { keysOf } from "./rows.ts";

/** As `DecodeContext`: written slots of every head, the newest token's among them, and how many of them an eviction leaves. */
export interface Written {
  written: number;
  budget: number;
}

interface Decode {
  /** What the attention of a token becomes in the attribute `momentum`, for policies that observe; `decay` for those that have no say in it. */
  observe?: { decay: number; byLayer: boolean };
  /** Scores of the written slots, [heads, stride]. */
  score(compaction: Compaction, scores: GPUBuffer, of: Written): void;
}

const momentumOf = ({ memory: { slots } }: Compaction) => slots.perSlot("attribute.momentum");
/** Heads that agree on what they evict. */
const together = ({ shape: { kvHeads } }: Compaction, byLayer: boolean) => byLayer ? kvHeads : 1;

/** @param recent of the budget, for the newest */
const remembering = (decay: number, byLayer: boolean, recent = 0): Decode => ({
  observe: { decay, byLayer },
  score(compaction, scores, { written, budget }) {
    const { memory: { slots: { end } }, shape: { heads, stride }, recording } = compaction;
    writtenMomentum.record(recording, { momentum: momentumOf(compaction), end, scores }, {
      heads,
      stride,
      written,
      recent: Math.floor(budget * recent),
      share: together(compaction, byLayer),
    });
  },
});

/** By the variant's name. */
export const decodeForms: Record<string, Decode> = {
  recency: {
    score: ({ memory: { slots: { end } }, shape: { heads, stride }, recording }, scores, { written }) =>
      writtenRecency.record(recording, { end, scores }, { heads, stride, written }),
  },
  h2o: remembering(1, false, 0.5),
  tova: remembering(0, true),
  // the decay of these two is their own parameter
  moment: remembering(1, true),
  "moment-recent": remembering(1, true, RECENT_SHARE),
  rkv: {
    observe: { decay: 1, byLayer: false },
    score(compaction, scores, { written }) {
      const { memory, memory: { slots }, shape, recording } = compaction, { start, end } = slots;
      const { heads, kvHeads, stride, headDim, width } = shape, blocks = unitBlocks({ stride, newest: written });
      const array = (name: string, numbers: number) => slots.array(`rkv.${name}.${written}`, 4 * numbers);
      const parts = array("parts", kvHeads * blocks * headDim), likeness = array("likeness", heads * written);
      const duplicate = array("duplicate", heads * written), cosine = array("cosine", heads * written);
      for (let layer = 0; layer < shape.layers; layer++) {
        const keys = keysOf(recording, memory, layer),
          of = { ...compaction.layer(layer), WIDTH: width, HEAD_DIM: headDim };
        unitSum.record(recording, { keys, start, end, parts }, { ...of, newest: written });
        rkvRedundancy.record(recording, { keys, parts, end, likeness, duplicate, cosine }, { ...of, written, blocks });
      }
      rkvScore.record(recording, { likeness, duplicate, cosine, end, momentum: momentumOf(compaction), scores }, {
        heads,
        stride,
        written,
        lambda: LAMBDA,
      });
    },
  },
};

/**
 * The newest token's attention goes into the memory of the written slots: two dispatches a layer and one, where the token's pass has fifteen a layer and
 * more. @param compaction a look whose chunk is the token
 */
export function recordObservation(compaction: Compaction, written: number): void {
  const { memory: { slots: { end } }, shape: { heads, stride }, recording } = compaction;
  const mass = compaction.askWithChunk(1, ["mean"], "mass", written).mean!;
  const policy = compaction.moment.policy.decode, { observe } = decodeForms[policy.name]!;
  const decay = policy.decay ?? observe!.decay, share = together(compaction, observe!.byLayer);
  momentum.record(recording, { mass, end, momentum: momentumOf(compaction) }, { heads, stride, written, share, decay });
}

/** @returns all that was read, and the best `budget` of the written slots */
export function recordEviction(name: string, compaction: Compaction, of: Written): Kept {
  const { memory: { slots }, shape, recording } = compaction, { heads, stride } = shape, { start, end, source } = slots;
  const scores = slots.perSlot("score"), shielded = slots.perSlot("shielded"), quota = slots.perHead("quota");
  const kept = slots.perSlot("kept"), count = slots.perHead("count"), guarded = slots.perHead("guarded");
  decodeForms[name]!.score(compaction, scores, of);
  writtenQuota.record(recording, { start, end, shielded, quota }, { heads, stride, ...of });
  recordTopK(recording, { scores, shielded, guarded, source, start, end, quota, kept, count }, shape);
  return { kept, count };
}
