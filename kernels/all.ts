/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { bestStretch } from "./best_stretch.ts";
import { chunkMeans } from "./chunk_means.ts";
import { compactPositions } from "./compact_positions.ts";
import { coverage } from "./coverage.ts";
import { criticalScores } from "./critical_scores.ts";
import { fillRows } from "./fill_rows.ts";
import { attentionMass } from "./attention_mass.ts";
import { defensiveFacts } from "./defensive_facts.ts";
import { defensiveScores } from "./defensive_scores.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import { h2oScores } from "./h2o_scores.ts";
import type { AnyKernel } from "./kernel.ts";
import { labelRows } from "./label_rows.ts";
import { mark } from "./mark.ts";
import { protect } from "./protect.ts";
import { quotaChoose } from "./quota_choose.ts";
import { quotaCounts } from "./quota_counts.ts";
import { settle } from "./settle.ts";
import { spreadParts } from "./spread_parts.ts";
import { layerMean } from "./layer_mean.ts";
import { mergeMass } from "./merge_mass.ts";
import { normShares } from "./norm_shares.ts";
import { poolScores } from "./pool_scores.ts";
import { softmaxRows } from "./softmax_rows.ts";
import { topK } from "./top_k.ts";

export const kernels: readonly AnyKernel[] = [
  labelRows,
  fillRows,
  advance,
  protect,
  quotaCounts,
  quotaChoose,
  topK,
  mark,
  criticalScores,
  spreadParts,
  chunkMeans,
  bestStretch,
  gather,
  gatherRotate,
  compactPositions,
  settle,
  coverage,
  softmaxRows,
  attentionMass,
  poolScores,
  mergeMass,
  h2oScores,
  layerMean,
  normShares,
  defensiveFacts,
  defensiveScores,
];
