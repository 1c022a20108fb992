/** Every kernel, for the test loop. */
import { advance } from "./advance.ts";
import { append } from "./append.ts";
import { attentionMass } from "./attention_mass.ts";
import { compactPositions } from "./compact_positions.ts";
import { defensiveFacts } from "./defensive_facts.ts";
import { defensiveScores } from "./defensive_scores.ts";
import { gather } from "./gather.ts";
import { gatherRotate } from "./gather_rotate.ts";
import { h2oScores } from "./h2o_scores.ts";
import type { AnyKernel } from "./kernel.ts";
import { layerMean } from "./layer_mean.ts";
import { mergeMass } from "./merge_mass.ts";
import { normShares } from "./norm_shares.ts";
import { poolScores } from "./pool_scores.ts";
import { softmaxRows } from "./softmax_rows.ts";
import { topK } from "./top_k.ts";

export const kernels: readonly AnyKernel[] = [
  append,
  advance,
  topK,
  gather,
  gatherRotate,
  compactPositions,
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
